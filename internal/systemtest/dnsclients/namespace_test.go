//go:build e2e

package dnsclients

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// secluded says to this program that it runs in a namespace, and which test asked for that.
const secluded = "DNSCLIENTS_SECLUDED"

// inside is what makes a network of nothing but loopback, whose resolver is 127.0.0.1 and asks nobody else, and runs a program in it.
// A link cannot be mounted on, as /etc/resolv.conf is on some machines, and what is not there need not be hidden. The further
// addresses, of which no packet ever leaves, are for glibc: it finds addresses of a family only where there is one beside 127.0.0.1 or ::1.
const inside = `set -e
ip link set lo up
ip address add 192.0.2.1/32 dev lo
ip address add 2001:db8:ffff::1/128 dev lo nodad
for f in resolv.conf nsswitch.conf hosts; do
	if [ -e "/etc/$f" ]; then mount --bind "$1/$f" "$(readlink -f "/etc/$f")"; fi
done
shift
exec "$@"`

// seclude has the calling test run once more, as another process in namespaces of its own, where port 53 is free, nothing
// leads outside, and resolvers are set up to ask 127.0.0.1. It returns true there. Where it returns false, the test has
// run and is over. All that is started in there ends with the namespace, whatever happens.
func seclude(t *testing.T) bool {
	t.Helper()
	if os.Getenv(secluded) == t.Name() {
		return true
	}
	etc := t.TempDir()
	for file, text := range map[string]string{
		"resolv.conf":   "nameserver 127.0.0.1\nsearch service.consul node.consul\noptions timeout:2 attempts:2\n",
		"nsswitch.conf": "hosts: files dns\n",
		"hosts":         "127.0.0.1 localhost\n",
	} {
		if err := os.WriteFile(filepath.Join(etc, file), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "unshare", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc",
		"sh", "-c", inside, "sh", etc, self, "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout=110s")
	cmd.Env = append(os.Environ(), secluded+"="+t.Name(), "HERALD_BIN="+process.Command().Path)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("in a namespace: %v\n%s", err, out)
	}
	if ran := "--- PASS: " + t.Name(); !strings.Contains(string(out), ran) {
		t.Fatalf("did not run in its namespace:\n%s", out)
	}
	return false
}
