// Package cli is Herald's command line. It chooses which plugins to start,
// composes every package's settings, and is the only place that knows flags,
// environment variables and configuration files (cobra and viper).
//
// A setting has one name, such as doors.http.address; its flag and environment
// variable follow from it. A flag beats the environment, which beats the file,
// which beats the default. Unknown names are refused.
//
// The package is importable so that a program with plugins of its own is a main
// function of three lines: see examples.
package cli
