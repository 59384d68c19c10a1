//go:build e2e

package systemtest

import (
	"net"
	"os/exec"
	"strings"
	"testing"

	"herald/internal/systemtest/process"
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
func dig(t *testing.T, p *process.Process, name, kind string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(p.DNS)
	if err != nil {
		t.Fatal(err)
	}
	out := output(t, "dig", "+short", "+time=2", "+tries=1", "@"+host, "-p", port, name, kind)
	if out == "" {
		return nil
	}
	return strings.Split(out, "\n")
}
