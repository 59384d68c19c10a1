//go:build e2e

package systemtest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	"herald/internal/systemtest/process"
)

// projectFile is what is in a file of the checkout.
func projectFile(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// readmeSection is the README's text under a heading.
func readmeSection(t *testing.T, heading string) string {
	t.Helper()
	_, section, found := strings.Cut(projectFile(t, "README.md"), "\n## "+heading+"\n")
	if !found {
		t.Fatalf("the README has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// TestReadmeEtcdClients types what the README says of etcd's clients, line by line, and
// expects what it shows.
func TestReadmeEtcdClients(t *testing.T) {
	p := process.Dev(t)
	onPorts := strings.NewReplacer("127.0.0.1:8500", p.HTTP, "127.0.0.1:2379", p.Etcd)
	typed, shown := 0, 0
	printed := ""
	for i, block := range strings.Split(readmeSection(t, "With etcd's clients"), "```") {
		info, text, _ := strings.Cut(block, "\n")
		switch {
		case i%2 == 0: // between the blocks
		case info == "sh":
			printed = ""
			for line := range strings.Lines(text) {
				cmd := exec.Command("sh", "-c", onPorts.Replace(line))
				cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+p.Etcd)
				out, err := cmd.Output()
				if err != nil {
					t.Errorf("%s: %v\n%s%s", strings.TrimSpace(line), err, out, stderr(err))
				}
				printed += string(out)
				typed++
			}
		default:
			if !strings.Contains(printed, text) {
				t.Errorf("the README shows\n%sand what was printed is\n%s", text, printed)
			}
			shown++
		}
	}
	if typed < 6 || shown < 1 {
		t.Errorf("%d lines typed, %d answers shown", typed, shown)
	}
}

// TestReadmeThreeServers types what the README says of three servers, line by line, on
// ports that are free.
func TestReadmeThreeServers(t *testing.T) {
	read := func(name string) string { return projectFile(t, name) }
	section := readmeSection(t, "Three servers")

	// Ports of the files and of the commands are replaced alike.
	ports := map[string]string{}
	for i, a := range process.FreeAddresses(t, 12) {
		_, free, err := net.SplitHostPort(a)
		if err != nil {
			t.Fatal(err)
		}
		ports[strconv.Itoa([]int{7401, 8501, 8601, 2381}[i%4]+i/4)] = free
	}
	onFreePorts := func(text string) string {
		return regexp.MustCompile(`\b(?:(?:74|85|86)0|238)[1-3]\b`).ReplaceAllStringFunc(text, func(p string) string { return ports[p] })
	}
	dir := t.TempDir()
	for i := range 3 {
		name := fmt.Sprintf("configs/cluster-%d.yaml", i+1)
		text := strings.ReplaceAll(onFreePorts(read(name)), "./data/", dir+"/data/")
		if err := os.MkdirAll(filepath.Join(dir, "configs"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}

	var jobs []*process.Process
	var launched sync.WaitGroup
	settled := func() { // as a reader who waits for "ready" does
		launched.Wait()
		for _, p := range jobs {
			if p == nil {
				t.FailNow()
			}
			select {
			case <-p.Done():
			default:
				p.AwaitReady()
			}
		}
	}
	printed := ""
	kinds := map[string]int{}
	for i, block := range strings.Split(section, "```") {
		info, text, _ := strings.Cut(block, "\n")
		if i%2 == 0 {
			continue // between the blocks
		}
		for line := range strings.Lines(text) {
			if info == "" { // what the commands before it have printed
				if !strings.Contains(printed, line) {
					t.Errorf("the README shows %q, and what was printed is\n%s", strings.TrimSpace(line), printed)
				}
				kinds["shown"]++
				continue
			}
			words := strings.Fields(onFreePorts(line))
			for i, w := range words {
				if strings.HasPrefix(w, "configs/") {
					words[i] = filepath.Join(dir, w)
				}
			}
			switch {
			case words[0] == "go":
				kinds["build"]++ // TestMain did
			case words[0] == "bin/herald" && words[len(words)-1] == "&":
				kinds["start"]++
				at := len(jobs)
				jobs = append(jobs, nil)
				launched.Go(func() { jobs[at] = process.Launch(t, words[1:len(words)-1]...) })
			case words[0] == "kill":
				kinds["kill"]++
				settled()
				n, err := strconv.Atoi(strings.TrimPrefix(words[2], "%"))
				if err != nil || words[1] != "-9" || n < 1 || n > len(jobs) {
					t.Fatalf("the test cannot read %q", line)
				}
				jobs[n-1].Kill()
			case words[0] == "bin/herald":
				kinds["ask"]++
				settled()
				out, err := process.Command(words[1:]...).CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", strings.TrimSpace(line), err, out)
				}
				printed += string(out)
			default:
				t.Fatalf("the test cannot read %q", line)
			}
		}
	}
	if kinds["start"] != 3 || kinds["kill"] != 1 || kinds["ask"] < 5 || kinds["shown"] == 0 {
		t.Errorf("the README has %v", kinds)
	}
	for _, want := range []string{"v1", "v2"} {
		if !strings.Contains(printed, want) {
			t.Errorf("%s was not read:\n%s", want, printed)
		}
	}
}
