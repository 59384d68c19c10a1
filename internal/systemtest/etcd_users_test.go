//go:build e2e

package systemtest

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"herald/internal/systemtest/process"
)

// TestUsersAndRolesWithEtcdctl keeps users and roles with the real etcdctl, restarts the
// server, and finds them again; nothing asks for them.
func TestUsersAndRolesWithEtcdctl(t *testing.T) {
	args := []string{"server", "--data-dir", t.TempDir(), "--http-address", "127.0.0.1:0", "--dns-address", "127.0.0.1:0",
		"--peer-address", "127.0.0.1:0", "--etcd-address", "127.0.0.1:0", "--bootstrap-expect", "1"}
	p := process.Start(t, args...)
	type step struct{ line, want string }
	run := func(steps []step) {
		t.Helper()
		for _, s := range steps {
			cmd := exec.Command("etcdctl", strings.Fields(s.line)...)
			cmd.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+p.Etcd)
			out, err := cmd.CombinedOutput()
			if refused := strings.HasPrefix(s.want, "Error: "); refused != (err != nil) || !strings.Contains(string(out), s.want) {
				t.Errorf("etcdctl %s: %v\n%swant %q", s.line, err, out, s.want)
			}
		}
	}
	run([]step{
		{"user add ann:secret", "User ann created"},
		{"user add ann:secret", "Error: etcdserver: user name already exists"},
		{"user add bob --no-password", "User bob created"},
		{"user list", "ann\nbob\n"},
		{"role add dev", "Role dev created"},
		{"role grant-permission dev readwrite app/ --prefix", "Role dev updated"},
		{"role grant-permission dev read k", "Role dev updated"},
		{"role revoke-permission dev z", "Error: etcdserver: permission is not granted to the role"},
		{"role revoke-permission dev k", "Permission of key k is revoked from role dev"},
		{"user grant-role ann dev", "Role dev is granted to user ann"},
		{"user grant-role ann ops", "Error: etcdserver: role name not found"},
		{"auth enable", "Error: etcdserver: root user does not exist"},
		{"user add root:secret", "User root created"},
	})
	p.Stop()
	p = process.Start(t, args...)
	run([]step{
		{"user get ann", "Roles: dev"},
		{"role get dev", "[app/, app0) (prefix app/)"},
		{"auth enable", "Error: rpc error: code = Unimplemented desc = herald: access control cannot be turned on"},
		{"--user ann:wrong put app/x 1", "OK"},
		{"role delete dev", "Role dev deleted"},
		{"user get ann", "Roles:\n"},
		{"user delete ann", "User ann deleted"},
		{"user list", "bob\nroot\n"},
		{"auth disable", "Authentication Disabled"},
	})
}
