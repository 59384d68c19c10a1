//go:build e2e

package dnsclients

import (
	"errors"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMusl asks with the resolver of musl, as programs in Alpine's containers do, on a machine whose only name server is
// Herald. It asks for A and AAAA at once, takes what does not exist for one of them as said of both, and is content
// with what fits 512 bytes.
func TestMusl(t *testing.T) {
	t.Parallel()
	if !seclude(t) {
		return
	}
	resolve := filepath.Join(t.TempDir(), "resolve")
	if out, err := exec.CommandContext(t.Context(), "musl-gcc", "-static", "-D_GNU_SOURCE", "-o", resolve, filepath.Join("testdata", "resolve.c")).CombinedOutput(); err != nil {
		t.Fatalf("musl-gcc: %v\n%s", err, out)
	}
	find := func(how, what string) []string {
		t.Helper()
		out, err := exec.CommandContext(t.Context(), resolve, how, what).CombinedOutput()
		if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 2 {
			return nil
		}
		if err != nil {
			t.Fatalf("resolve %s %s: %v\n%s", how, what, err, out)
		}
		all := strings.Fields(string(out))
		slices.Sort(all)
		return all
	}
	filled(t, "--dns-address", "127.0.0.1:53")
	both := []string{"10.0.1.1", "10.0.2.2", "2001:db8::1", "2001:db8::3"}
	for _, q := range []struct {
		how, what string
		want      []string
	}{
		{"any", "web.service.consul", both},
		{"any", "web.service.consul.", both},
		{"any", "web", both}, // by the search list
		{"4", "web.service.dc1.consul", []string{"10.0.1.1", "10.0.2.2"}},
		{"any", "n3.node.consul", []string{"2001:db8::3"}}, // which has no A record
		{"any", "n2.node.consul", []string{"10.0.1.2"}},    // nor AAAA
		{"4", "n1", []string{"10.0.1.1"}},                  // by the second of the search list
		{"4", "alias.service.consul", []string{"10.0.1.1"}},
		{"name", "10.0.1.1", []string{"n1.node.dc1.consul"}},
		{"name", "2001:db8::3", []string{"n3.node.dc1.consul"}},
		{"any", "nosuch.service.consul", nil},
		{"any", "service.consul", nil},
		{"name", "10.99.99.99", nil},
	} {
		if got := find(q.how, q.what); !slices.Equal(got, q.want) {
			t.Errorf("resolve %s %s: %q, want %q", q.how, q.what, got, q.want)
		}
	}
	got, all := find("4", "many.service.consul"), manyAddresses()
	if len(got) < 20 || !slices.Equal(slices.Compact(slices.Clone(got)), got) || slices.ContainsFunc(got, func(a string) bool { return !slices.Contains(all, a) }) {
		t.Errorf("of a service of %d instances: %q", len(all), got)
	}
}
