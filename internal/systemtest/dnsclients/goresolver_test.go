//go:build e2e

package dnsclients

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"
)

// TestGoResolver has the resolver of Go's library, the one in Go, ask Herald alone, over UDP with TCP where that is too small, and
// over TCP alone.
func TestGoResolver(t *testing.T) {
	t.Parallel()
	p := filled(t)
	for _, forced := range []string{"", "tcp"} {
		t.Run("network "+forced, func(t *testing.T) {
			r := &net.Resolver{PreferGo: true, StrictErrors: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
				var d net.Dialer
				if forced != "" {
					network = forced
				}
				return d.DialContext(ctx, network, p.DNS)
			}}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()

			hosts, err := r.LookupHost(ctx, "web.service.consul.")
			wantStrings(t, "addresses", hosts, err, "10.0.1.1", "10.0.2.2", "2001:db8::1", "2001:db8::3")
			hosts, err = r.LookupHost(ctx, "many.service.consul.")
			wantStrings(t, "addresses of many", hosts, err, manyAddresses()...)
			hosts, err = r.LookupHost(ctx, "alias.service.consul.")
			wantStrings(t, "addresses behind an alias", hosts, err, "10.0.1.1", "2001:db8::1")
			for _, network := range []struct {
				name string
				want []string
			}{{"ip4", []string{"10.0.1.1", "10.0.2.2"}}, {"ip6", []string{"2001:db8::1", "2001:db8::3"}}} {
				ips, err := r.LookupIP(ctx, network.name, "web.service.consul.")
				var got []string
				for _, ip := range ips {
					got = append(got, ip.String())
				}
				wantStrings(t, network.name, got, err, network.want...)
			}

			_, all, err := r.LookupSRV(ctx, "web", "tcp", "service.consul.")
			var srv []string
			for _, s := range all {
				srv = append(srv, fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Target))
			}
			wantStrings(t, "SRV", srv, err, "1 1 8082 0a000202.addr.dc1.consul.", "1 1 8083 n3.node.dc1.consul.", "1 3 8081 n1.node.dc1.consul.")
			_, all, err = r.LookupSRV(ctx, "", "", "many.service.consul.")
			if err != nil || len(all) != many {
				t.Errorf("%d SRV of many, %v", len(all), err)
			}
			for _, s := range all[:3] {
				if hosts, err := r.LookupHost(ctx, s.Target); err != nil || len(hosts) != 1 || hosts[0][:5] != "10.9." {
					t.Errorf("%s, the target of an SRV: %v, %v", s.Target, hosts, err)
				}
			}

			texts, err := r.LookupTXT(ctx, "n1.node.consul.")
			wantStrings(t, "TXT", texts, err, "rack=7")
			names, err := r.LookupAddr(ctx, "10.0.1.1")
			wantStrings(t, "PTR", names, err, "n1.node.dc1.consul.")
			names, err = r.LookupAddr(ctx, "2001:db8::3")
			wantStrings(t, "PTR", names, err, "n3.node.dc1.consul.")
			canonical, err := r.LookupCNAME(ctx, "alias.service.consul.")
			wantStrings(t, "CNAME", []string{canonical}, err, "n1.node.consul.")

			for _, name := range []string{"nosuch.service.consul.", "service.consul."} { // NXDOMAIN; a name without addresses
				hosts, err := r.LookupHost(ctx, name)
				if no := new(net.DNSError); !errors.As(err, &no) || !no.IsNotFound || no.IsTemporary || no.IsTimeout {
					t.Errorf("%s: %v, %v; want it not to be found, for good", name, hosts, err)
				}
			}
		})
	}
}

func wantStrings(t *testing.T, what string, got []string, err error, want ...string) {
	t.Helper()
	got = slices.Sorted(slices.Values(got))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%s: %q, %v; want %q", what, got, err, want)
	}
}
