package check

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A testdata file has histories for the check that it is named after:
//
//	=== name of the history
//	what the check should say: "ok", "checked nothing", "could not decide",
//	or "VIOLATED" and, after a colon, a part of each violation, separated by "|"
//	file {record}
//	...
//
// Without a plan record three servers ran the workloads that the check is for.
type handwritten struct {
	name, want string
	files      map[string][]string
}

func readCases(t *testing.T, path string) []handwritten {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var all []handwritten
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		name, begins := strings.CutPrefix(line, "=== ")
		switch {
		case line == "" || line[0] == '#':
		case begins:
			all = append(all, handwritten{name: name, files: map[string][]string{}})
		case len(all) == 0:
			t.Fatalf("%s:%d: a history has no name", path, i+1)
		case all[len(all)-1].want == "":
			all[len(all)-1].want = line
		default:
			file, rec, ok := strings.Cut(line, " ")
			if !ok {
				t.Fatalf("%s:%d: want a file and a record", path, i+1)
			}
			all[len(all)-1].files[file] = append(all[len(all)-1].files[file], rec)
		}
	}
	return all
}

// judge has the history judged, from files, by one check.
func (h *handwritten) judge(t *testing.T, name string) *Verdict {
	t.Helper()
	dir := t.TempDir()
	if h.files["plan"] == nil {
		for _, c := range checks {
			if c.name == name {
				h.files["plan"] = []string{fmt.Sprintf(`{"nodes":["n1","n2","n3"],"workloads":[%q]}`, c.workloads[0])}
			}
		}
	}
	for file, lines := range h.files {
		if err := os.WriteFile(filepath.Join(dir, file+".jsonl"), []byte(strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := All(dir)
	if err != nil {
		t.Fatal(err)
	}
	for i := range r.Verdicts {
		if r.Verdicts[i].Check == name {
			return &r.Verdicts[i]
		}
	}
	t.Fatalf("the check did not run: %+v", r)
	return nil
}

func TestHandwrittenHistories(t *testing.T) {
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			good, bad := 0, 0
			for _, h := range readCases(t, filepath.Join("testdata", c.name+".txt")) {
				t.Run(h.name, func(t *testing.T) {
					v := h.judge(t, c.name)
					said := v.String()
					want, parts, _ := strings.Cut(h.want, ":")
					if strings.HasPrefix(want, "VIOLATED") {
						want = fmt.Sprintf("VIOLATED (%d)", strings.Count(parts, "|")+1)
						bad++
					} else {
						good++
					}
					var b strings.Builder
					v.explain(&b)
					if said != want {
						t.Errorf("got %q, want %q\n%s", said, h.want, b.String())
					}
					for i, part := range strings.Split(parts, "|") {
						if part = strings.TrimSpace(part); part == "" || i >= len(v.Violations) {
							continue
						}
						if !strings.Contains(b.String(), part) {
							t.Errorf("does not say %q:\n%s", part, b.String())
						}
					}
				})
			}
			if good < 2 || bad < 2 {
				t.Errorf("only %d histories that pass and %d that do not", good, bad)
			}
		})
	}
}
