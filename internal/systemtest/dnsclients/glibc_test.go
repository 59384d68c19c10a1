//go:build e2e

package dnsclients

import (
	"errors"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestGlibc has getent ask the resolver of glibc, as most programs do, on a machine whose only name server is Herald.
func TestGlibc(t *testing.T) {
	t.Parallel()
	if !seclude(t) {
		return
	}
	filled(t, "--dns-address", "127.0.0.1:53")
	both := []string{"10.0.1.1", "10.0.2.2", "2001:db8::1", "2001:db8::3"}
	// As /etc/resolv.conf says; all by TCP; with EDNS; A and AAAA one after another, each from a socket of its own.
	for _, options := range []string{"", "use-vc", "edns0 trust-ad", "single-request-reopen"} {
		t.Run(options, func(t *testing.T) {
			getent := func(t *testing.T, database, key string) []string {
				t.Helper()
				cmd := exec.CommandContext(t.Context(), "getent", database, key)
				cmd.Env = append(os.Environ(), "RES_OPTIONS="+options)
				out, err := cmd.CombinedOutput()
				if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() == 2 {
					return nil // it is not to be found
				}
				if err != nil {
					t.Fatalf("getent %s %s: %v\n%s", database, key, err, out)
				}
				var all []string
				for line := range strings.Lines(string(out)) {
					words := strings.Fields(line)
					all = append(all, words[0])
					if database == "hosts" {
						all = words
					}
				}
				slices.Sort(all)
				return slices.Compact(all) // there is a line for each type of socket
			}
			for _, q := range []struct {
				database, key string
				want          []string
			}{
				{"ahosts", "web.service.consul", both},
				{"ahosts", "web.service.consul.", both},
				{"ahosts", "web", both}, // by the search list
				{"ahostsv4", "web.service.dc1.consul", []string{"10.0.1.1", "10.0.2.2"}},
				{"ahostsv6", "n3.node.consul", []string{"2001:db8::3"}},
				{"ahostsv4", "n1", []string{"10.0.1.1"}}, // by the second of the search list
				{"ahostsv4", "alias.service.consul", []string{"10.0.1.1"}},
				{"ahostsv4", "many.service.consul", manyAddresses()},
				{"hosts", "10.0.1.1", []string{"10.0.1.1", "n1.node.dc1.consul"}},
				{"hosts", "2001:db8::3", []string{"2001:db8::3", "n3.node.dc1.consul"}},
				{"ahosts", "nosuch.service.consul", nil},
				{"ahosts", "service.consul", nil},
				{"hosts", "10.99.99.99", nil},
			} {
				if got := getent(t, q.database, q.key); !slices.Equal(got, q.want) {
					t.Errorf("getent %s %s: %q, want %q", q.database, q.key, got, q.want)
				}
			}
		})
	}
}
