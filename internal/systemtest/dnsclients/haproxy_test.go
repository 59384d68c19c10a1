//go:build e2e

package dnsclients

import (
	"encoding/csv"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestHAProxy has HAProxy find its servers by SRV records, over UDP and over TCP, and follow them: one that fails its check, one that is back,
// one that is new, one that goes for good, all going and coming again, and more than fit a datagram without EDNS. Each is at
// an address of its own.
func TestHAProxy(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]string{"udp": "", "tcp": "tcp@"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := process.Dev(t)
			h := startHAProxy(t, by+p.DNS)
			var all []place
			for i, id := range []string{"a", "b", "c"} {
				all = append(all, at(t, id, backend(t, fmt.Sprintf("127.0.1.%d:0", i+1), id)))
			}
			a, b, c := all[0], all[1], all[2]
			h.await("nobody is there yet")
			a.offer(t, p, "passing")
			b.offer(t, p, "passing")
			h.await("two come", a, b)
			b.offer(t, p, "critical")
			h.await("one fails its check", a)
			b.offer(t, p, "warning")
			h.await("it is back, if not well", a, b)
			c.offer(t, p, "passing")
			h.await("one is new", a, b, c)
			a.withdraw(t, p)
			h.await("one goes for good", b, c)
			b.withdraw(t, p)
			c.withdraw(t, p)
			h.await("all go")
			c.offer(t, p, "passing")
			h.await("one is there again", c)
			more := []place{c}
			for i := range 20 {
				id := fmt.Sprintf("more-%d", i)
				next := at(t, id, backend(t, fmt.Sprintf("127.0.2.%d:0", i+1), id))
				next.offer(t, p, "passing")
				more = append(more, next)
			}
			h.await("many come", more...)
		})
	}
}

// TestHAProxyOneAddress has HAProxy find and follow instances that are all at one address, as those of one host are. When
// some go, HAProxy 2.6 can lose the others for a moment: it gives the addresses of records that stayed to those that are gone.
func TestHAProxyOneAddress(t *testing.T) {
	t.Parallel()
	p := process.Dev(t)
	var all []place
	for i := range 10 {
		id := fmt.Sprintf("at-one-%d", i)
		all = append(all, at(t, id, backend(t, "127.0.3.1:0", id)))
		all[i].offer(t, p, "passing")
	}
	h := startHAProxy(t, p.DNS)
	h.await("all are there at its start", all...)
	for _, i := range all[:5] {
		i.offer(t, p, "critical")
	}
	h.await("half of them fail their checks", all[5:]...)
	for _, i := range all[5:] {
		i.withdraw(t, p)
	}
	for _, i := range all[:5] {
		i.offer(t, p, "passing")
	}
	h.await("those are back, and the others go for good", all[:5]...)
}

// haproxy is one that runs.
type haproxy struct {
	t             *testing.T
	front, socket string
}

// startHAProxy starts one that has places for 25 instances of the service web.
func startHAProxy(t *testing.T, nameserver string) *haproxy {
	t.Helper()
	h := &haproxy{t: t, front: process.FreeAddresses(t, 1)[0], socket: filepath.Join(t.TempDir(), "stats")}
	_, file := config(t, `
global
  stats socket `+h.socket+` mode 600 level admin
  nbthread 1
defaults
  mode http
  timeout connect 2s
  timeout client 5s
  timeout server 5s
resolvers herald
  nameserver herald `+nameserver+`
  accepted_payload_size 4096
  timeout resolve 200ms
  timeout retry 500ms
  hold valid 200ms
  hold nx 200ms
  hold obsolete 0s
frontend front
  bind `+h.front+`
  default_backend web
backend web
  balance roundrobin
  server-template web 25 _web._tcp.service.consul resolvers herald resolve-prefer ipv4 init-addr none check inter 300ms
`)
	daemon(t, "haproxy", "-db", "-f", file)
	return h
}

// await waits until HAProxy has exactly these instances up, and sends requests to all of them and to nobody else.
func (h *haproxy) await(what string, want ...place) {
	h.t.Helper()
	var addresses, ids []string
	for _, i := range want {
		addresses = append(addresses, fmt.Sprintf("%s:%d", i.address, i.port))
		ids = append(ids, i.id)
	}
	slices.Sort(addresses)
	slices.Sort(ids)
	process.Eventually(h.t, 20*time.Second, what, func() error {
		up, err := h.up()
		if err != nil {
			return err
		}
		if !slices.Equal(up, addresses) {
			return fmt.Errorf("has %q up, want %q", up, addresses)
		}
		return h.serves(ids)
	})
}

// serves says how HAProxy does not send requests to exactly these instances.
func (h *haproxy) serves(ids []string) error {
	seen := map[string]bool{}
	for range 2 * max(1, len(ids)) {
		status, body, err := get("http://" + h.front)
		switch {
		case err != nil:
			return err
		case len(ids) == 0 && status != http.StatusServiceUnavailable, len(ids) > 0 && (status != http.StatusOK || !slices.Contains(ids, body)):
			return fmt.Errorf("a request was answered with %d, %q", status, body)
		}
		seen[body] = true
	}
	if len(ids) > 0 && len(seen) != len(ids) {
		return fmt.Errorf("%d of %d instances get requests", len(seen), len(ids))
	}
	return nil
}

// up are the addresses of the servers that HAProxy says are up, sorted.
func (h *haproxy) up() ([]string, error) {
	c, err := net.DialTimeout("unix", h.socket, 2*time.Second)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		return nil, err
	}
	if _, err := io.WriteString(c, "show stat\n"); err != nil {
		return nil, err
	}
	rows, err := csv.NewReader(c).ReadAll()
	if err != nil || len(rows) == 0 {
		return nil, fmt.Errorf("no statistics: %w", err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[strings.TrimPrefix(name, "# ")] = i
	}
	var all []string
	for _, row := range rows[1:] {
		if row[column["pxname"]] == "web" && strings.HasPrefix(row[column["svname"]], "web") && row[column["status"]] == "UP" {
			all = append(all, row[column["addr"]])
		}
	}
	slices.Sort(all)
	return all, nil
}
