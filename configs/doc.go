// Package configs holds sample configuration files, one for each situation, and
// the test that decodes every one of them as strictly as the program does.
package configs

import "embed"

// Files are the samples.
//
//go:embed *.yaml
var Files embed.FS
