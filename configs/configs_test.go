package configs_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"herald/cmd/cli"
	_ "herald/cmd/standard"
	"herald/configs"
	"herald/registry/plugin"
)

// validate runs "herald config validate" on a file of that content.
func validate(t *testing.T, content string) (status int, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	status = cli.Main([]string{"config", "validate", file}, &out, &errs, plugin.Default)
	return status, errs.String()
}

func samples(t *testing.T) map[string]string {
	t.Helper()
	names, err := fs.Glob(configs.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, name := range names {
		b, err := fs.ReadFile(configs.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(b)
	}
	return all
}

func TestEverySampleIsValid(t *testing.T) {
	all := samples(t)
	for _, want := range []string{"dev.yaml", "single.yaml", "cluster-1.yaml", "cluster-2.yaml", "cluster-3.yaml", "agent.yaml"} {
		if _, ok := all[want]; !ok {
			t.Errorf("there is no sample %s", want)
		}
	}
	for name, content := range all {
		t.Run(name, func(t *testing.T) {
			if status, stderr := validate(t, content); status != 0 {
				t.Errorf("status %d: %s", status, stderr)
			}
		})
	}
}

func TestUnknownNamesAreRefusedByName(t *testing.T) {
	for name, content := range samples(t) {
		for _, extra := range []struct{ text, refused string }{
			{"\nbogus: 1\n", `"bogus"`},
			{"\nsources:\n  nosuch:\n    x: 1\n", `"sources.nosuch.x"`},
		} {
			status, stderr := validate(t, content+extra.text)
			if status == 0 || !strings.Contains(stderr, extra.refused) {
				t.Errorf("%s with %q: status %d, %s", name, extra.text, status, stderr)
			}
		}
	}
}
