package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// instruction is one line of a Dockerfile, its continuations joined.
type instruction struct {
	line int
	name string
	args string
}

// stage is what one FROM begins.
type stage struct {
	from, name string
	rest       []instruction
}

func readDockerfile(b []byte) ([]stage, error) {
	var stages []stage
	var joined string
	var start int
	for i, line := range strings.Split(string(b), "\n") {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "#") || line == "" && joined == "" {
			continue
		}
		if joined == "" {
			start = i + 1
		}
		if more, ok := strings.CutSuffix(line, `\`); ok {
			joined += more + " "
			continue
		}
		name, args, _ := strings.Cut(joined+line, " ")
		in := instruction{line: start, name: strings.ToUpper(name), args: strings.TrimSpace(args)}
		joined = ""
		if !slices.Contains([]string{"FROM", "ARG", "WORKDIR", "COPY", "RUN", "USER", "VOLUME", "ENV", "EXPOSE",
			"HEALTHCHECK", "ENTRYPOINT", "CMD"}, in.name) {
			return nil, fmt.Errorf("line %d: unknown instruction %s", in.line, in.name)
		}
		switch f := strings.Fields(in.args); {
		case in.name != "FROM" && len(stages) == 0:
			return nil, fmt.Errorf("line %d: %s before FROM", in.line, in.name)
		case in.name != "FROM":
			last := &stages[len(stages)-1]
			last.rest = append(last.rest, in)
		case len(f) == 1:
			stages = append(stages, stage{from: f[0]})
		case len(f) == 3 && strings.EqualFold(f[1], "as"):
			stages = append(stages, stage{from: f[0], name: f[2]})
		default:
			return nil, fmt.Errorf("line %d: malformed FROM", in.line)
		}
	}
	return stages, nil
}

// only returns the arguments of an instruction that a stage has exactly once.
func (s stage) only(t *testing.T, name string) string {
	t.Helper()
	var found []string
	for _, in := range s.rest {
		if in.name == name {
			found = append(found, in.args)
		}
	}
	if len(found) != 1 {
		t.Fatalf("the stage from %s has %d times %s, want once", s.from, len(found), name)
	}
	return found[0]
}

// execForm decodes the JSON form of a command, the only one that needs no shell.
func execForm(t *testing.T, args string) []string {
	t.Helper()
	var words []string
	if err := json.Unmarshal([]byte(args), &words); err != nil || len(words) == 0 {
		t.Fatalf("%s is not a command in its JSON form, and the image has no shell", args)
	}
	return words
}

func dockerfile(t *testing.T) []stage {
	t.Helper()
	b, err := os.ReadFile("docker/Dockerfile")
	if err != nil {
		t.Fatal(err)
	}
	stages, err := readDockerfile(b)
	if err != nil {
		t.Fatal(err)
	}
	if len(stages) != 2 {
		t.Fatalf("%d stages, want one that builds and one that ships", len(stages))
	}
	return stages
}

// imageEnv is the environment that the image sets.
func imageEnv(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, word := range strings.Fields(dockerfile(t)[1].only(t, "ENV")) {
		k, v, ok := strings.Cut(word, "=")
		if !ok {
			t.Fatalf("ENV has %q, want name=value", word)
		}
		env[k] = v
	}
	return env
}

func TestDockerfileBuilds(t *testing.T) {
	build := dockerfile(t)[0]

	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`)
	mod, err := os.ReadFile(root("go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	want := goVersion.FindStringSubmatch(string(mod))
	if want == nil || !strings.HasPrefix(build.from, "golang:"+want[1]+"-") {
		t.Errorf("the image is built with %s, and go.mod wants %s", build.from, want)
	}

	compiled := false
	for _, in := range build.rest {
		switch in.name {
		case "COPY": // from the checkout
			words := strings.Fields(in.args)
			for _, source := range words[:len(words)-1] {
				if _, err := os.Stat(root(source)); err != nil {
					t.Errorf("line %d copies %s, which the checkout has not", in.line, source)
				}
			}
		case "RUN":
			if !strings.Contains(in.args, "go build") {
				continue
			}
			compiled = true
			// The command that CI builds and checks the binary with.
			for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "-X herald/cmd/cli.version=", "./cmd/herald"} {
				if !strings.Contains(in.args, want) {
					t.Errorf("line %d builds without %s", in.line, want)
				}
			}
		}
	}
	if !compiled {
		t.Error("no line compiles the program")
	}
}

func TestImage(t *testing.T) {
	build, image := dockerfile(t)[0], dockerfile(t)[1]
	if image.from != "scratch" {
		t.Errorf("the image is built on %s, want nothing", image.from)
	}
	if user := image.only(t, "USER"); !regexp.MustCompile(`^[1-9]\d*:[1-9]\d*$`).MatchString(user) {
		t.Errorf("USER is %s, want a number that is not root's, since there is no /etc/passwd", user)
	}
	made := map[string]bool{}
	for _, in := range image.rest {
		if in.name == "COPY" {
			words := strings.Fields(in.args)
			if words[0] != "--from="+build.name {
				t.Errorf("line %d copies from elsewhere than %s", in.line, build.name)
			}
			made[path.Clean(words[len(words)-1])] = true
		}
	}

	entry := execForm(t, image.only(t, "ENTRYPOINT"))
	if !made[entry[0]] {
		t.Errorf("the entry point %s is not copied into the image", entry[0])
	}
	effective, err := settings(imageEnv(t), execForm(t, image.only(t, "CMD")))
	if err != nil {
		t.Fatal(err)
	}
	data := effective["data_dir"].text()
	if !made[data] || image.only(t, "VOLUME") != data {
		t.Errorf("the data directory %s is not made in the image, or is not its volume", data)
	}
	exposed := strings.Fields(image.only(t, "EXPOSE"))
	for _, name := range []string{"doors.http.address", "doors.dns.address", "doors.etcd.address", "peer.address"} {
		if port := portOf(effective[name].text()) + "/tcp"; !slices.Contains(exposed, port) {
			t.Errorf("%s is not exposed, and %s is on it", port, name)
		}
	}

	_, cmd, ok := strings.Cut(image.only(t, "HEALTHCHECK"), " CMD ")
	if !ok {
		t.Fatal("HEALTHCHECK has no CMD")
	}
	health := execForm(t, cmd)
	if health[0] != entry[0] {
		t.Errorf("the health check runs %s, and the image holds %s alone", health[0], entry[0])
	}
	if _, err := herald(nil, append(health[1:], "--help")...); err != nil {
		t.Errorf("the health check's command: %v", err)
	}
}

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

func TestReadDockerfileRefuses(t *testing.T) {
	for _, text := range []string{"RUN x\n", "FROM a\nRUNN x\n", "FROM a b\n"} {
		if _, err := readDockerfile([]byte(text)); err == nil {
			t.Errorf("%q was read without an error", text)
		}
	}
}
