//go:build e2e

package etcdclients

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// realEtcd is the etcd to drive in Herald's place, nil to drive Herald.
var realEtcd = func() *process.Etcd {
	if binary := os.Getenv("HERALD_TEST_ETCD"); binary != "" {
		return &process.Etcd{Binary: binary}
	}
	return nil
}()

// heraldAlone skips a test that says what etcd's clients find beside etcd's API.
func heraldAlone(t *testing.T, what string) {
	t.Helper()
	if realEtcd != nil {
		t.Skip("etcd has not: " + what)
	}
}

// etcd34 says that it is Debian's etcd that is driven, whose API is an older one. Where it is asked, etcd
// 3.7 does as Herald does.
func etcd34(t *testing.T) bool {
	t.Helper()
	return realEtcd != nil && regexp.MustCompile(`^3\.4\.`).MatchString(version(t))
}

// fixedSince34 skips a test of what an etcd 3.4 is known to do wrong.
func fixedSince34(t *testing.T, what string) {
	t.Helper()
	if etcd34(t) {
		t.Skip("etcd 3.4: " + what)
	}
}

// version is that of the API that the servers under test report.
func version(t *testing.T) string {
	t.Helper()
	if realEtcd == nil {
		return "3.7.3"
	}
	out, err := exec.CommandContext(t.Context(), realEtcd.Binary, "--version").Output()
	v := regexp.MustCompile(`etcd Version: (\S+)`).FindSubmatch(out)
	if err != nil || v == nil {
		t.Fatalf("%s --version: %v\n%s", realEtcd.Binary, err, out)
	}
	return string(v[1])
}

// one starts a single server.
func one(t *testing.T) *process.Process {
	t.Helper()
	if realEtcd != nil {
		return realEtcd.One(t)
	}
	return process.Dev(t)
}

// oneWithProgress starts a single server that tells idle watches every second where they stand.
func oneWithProgress(t *testing.T) *process.Process {
	t.Helper()
	if realEtcd != nil {
		return realEtcd.One(t, "ETCD_WATCH_PROGRESS_NOTIFY_INTERVAL=1s", "ETCD_EXPERIMENTAL_WATCH_PROGRESS_NOTIFY_INTERVAL=1s")
	}
	return process.Dev(t, "--etcd-watch-progress-interval", "1s")
}

// oneWithTLS starts a single server that speaks TLS, and wants of its clients what the authority has signed.
func oneWithTLS(t *testing.T, cert, key, authority string) *process.Process {
	t.Helper()
	if realEtcd != nil {
		return realEtcd.OneWithTLS(t, cert, key, authority)
	}
	return process.Dev(t, "--etcd-cert-file", cert, "--etcd-key-file", key, "--etcd-client-ca-file", authority)
}

// server starts a single server that can be started again on the same data and ports.
// flags are for Herald alone.
func server(t *testing.T, flags ...string) (p *process.Process, again func() *process.Process) {
	t.Helper()
	if realEtcd != nil {
		return realEtcd.Server(t)
	}
	free, dir := process.FreeAddresses(t, 3), t.TempDir()
	again = func() *process.Process {
		t.Helper()
		args := []string{"server", "--data-dir", dir, "--bootstrap-expect", "1", "--node-address", "127.0.0.1", "--peer-address", free[0],
			"--http-address", free[1], "--etcd-address", free[2], "--dns-address", "127.0.0.1:0"}
		return process.Start(t, append(args, flags...)...)
	}
	return again(), again
}

// three starts three servers that are one cluster.
func three(t *testing.T) *process.Trio {
	t.Helper()
	if realEtcd != nil {
		return realEtcd.Trio(t)
	}
	return process.NewTrio(t)
}

// threeWithLearners is three, of which a learner that joins gets no vote but by an operator's word.
func threeWithLearners(t *testing.T) *process.Trio {
	t.Helper()
	if realEtcd != nil {
		return realEtcd.Trio(t)
	}
	return process.NewTrio(t, "--raft-stabilization-time", "1h")
}

// leaderOf is the one of three that leads, once one of those that answer says that it does.
func leaderOf(t *testing.T, trio *process.Trio) int {
	t.Helper()
	at := -1
	c := connect(t, trio.Etcd[:]...)
	defer c.Close()
	process.Eventually(t, 20*time.Second, "a leader", func() error {
		var failed error
		for i, endpoint := range trio.Etcd {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			s, err := c.Status(ctx, endpoint)
			cancel()
			if err == nil && s.Leader == s.Header.MemberId {
				at = i
				return nil
			}
			failed = cmp.Or(failed, err)
		}
		return fmt.Errorf("nobody leads: %w", failed)
	})
	return at
}
