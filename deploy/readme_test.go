package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"herald/registry/definition"
)

// What the README tells a newcomer to type is put to the binary; that it also does
// what the README says is for the end-to-end tests.
func TestReadmeCommands(t *testing.T) {
	b, err := os.ReadFile(root("README.md"))
	if err != nil {
		t.Fatal(err)
	}
	readme := string(b)

	started := 0
	for _, m := range regexp.MustCompile(`(?m)^go run \./cmd/herald (.*)$`).FindAllStringSubmatch(readme, -1) {
		started++
		words := strings.Fields(m[1])
		args := []string{strings.Replace(words[0], "dev", "server", 1)}
		for i := 1; i+1 < len(words); i += 2 {
			args = append(args, words[i]+"="+words[i+1])
		}
		if _, err := settings(nil, args); err != nil {
			t.Errorf("%s: %v", m[0], err)
		}
	}
	if started < 2 {
		t.Errorf("found %d commands that start a herald, want dev and agent", started)
	}

	named := 0
	for _, m := range regexp.MustCompile("`herald\\s+([a-z]+)(?:\\s+([a-z|]+))?`").FindAllStringSubmatch(readme, -1) {
		for _, sub := range strings.Split(m[2], "|") {
			named++
			args := append(strings.Fields(m[1]+" "+sub), "--help")
			help, err := herald(nil, args...)
			if err != nil || !strings.Contains(help, "herald "+strings.TrimSpace(m[1]+" "+sub)) {
				t.Errorf("%s: no such command (%v)", strings.Join(args[:len(args)-1], " "), err)
			}
		}
	}
	if named < 8 {
		t.Errorf("found %d commands of the command line, want those of kv and service at least", named)
	}
}

// Every definition that is shown or shipped is one that the agent takes.
func TestDefinitions(t *testing.T) {
	readme, err := os.ReadFile(root("README.md"))
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string][]byte{}
	for _, m := range regexp.MustCompile("(?s)```json\n(.*?)```").FindAllSubmatch(readme, -1) {
		shown["README.md"] = m[1]
	}
	files, err := filepath.Glob("compose/services/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if shown[file], err = os.ReadFile(file); err != nil {
			t.Fatal(err)
		}
	}
	if len(shown) < 2 {
		t.Fatalf("found %d definitions, want the README's and compose's", len(shown))
	}
	for name, b := range shown {
		d, err := definition.ParseFile(name, b)
		if err != nil {
			t.Error(err)
			continue
		}
		if len(d.Services) != 1 || len(d.Services[0].Checks) != 1 {
			t.Errorf("%s: %d services, want one with a check", name, len(d.Services))
		}
	}
}
