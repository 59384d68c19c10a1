//go:build e2e

package systemtest

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

// output runs a tool and returns what it printed, without the last newline.
func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, stderr(err))
	}
	return strings.TrimSuffix(string(out), "\n")
}

func stderr(err error) string {
	if e, ok := err.(*exec.ExitError); ok {
		return string(e.Stderr)
	}
	return ""
}

// curl runs the real curl and returns the body.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	return output(t, "curl", append([]string{"-sS", "--max-time", "20"}, args...)...)
}

// curlStatus returns the status of a GET, "000" if nothing answered.
func curlStatus(t *testing.T, url string) string {
	t.Helper()
	out, _ := exec.Command("curl", "-s", "--max-time", "5", "-o", "/dev/null", "-w", "%{http_code}", url).Output()
	return string(out)
}

// dig runs the real dig against a herald and returns the answers, one a line.
func (p *process) dig(name, kind string) []string {
	p.t.Helper()
	host, port, err := net.SplitHostPort(p.dns)
	if err != nil {
		p.t.Fatal(err)
	}
	out := output(p.t, "dig", "+short", "+time=2", "+tries=1", "@"+host, "-p", port, name, kind)
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}

// url is an address in the process's HTTP door.
func (p *process) url(path string) string { return "http://" + p.http + path }

// herald runs a command of the binary against p and returns what it printed.
func (p *process) herald(args ...string) string {
	p.t.Helper()
	out, err := command(append(args, "--server", p.http)...).Output()
	if err != nil {
		p.t.Fatalf("herald %s: %v\n%s", strings.Join(args, " "), err, stderr(err))
	}
	return strings.TrimSuffix(string(out), "\n")
}
