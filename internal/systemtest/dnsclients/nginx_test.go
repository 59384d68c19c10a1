//go:build e2e

package dnsclients

import (
	"fmt"
	"net"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestNginx has nginx look a name up while it runs, as it does for a variable in proxy_pass, and follow it as it moves to another
// address, goes, and comes back.
func TestNginx(t *testing.T) {
	t.Parallel()
	for name, ttl := range map[string]string{"never cached": "0s", "cached": "1s"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := process.Dev(t, "--dns-service-ttl", ttl)
			here, there := "127.0.0.2", "127.0.0.3"
			shared := sharedPort(t, here, there)
			first, second := at(t, "one", backend(t, here+":"+shared, "here")), at(t, "one", backend(t, there+":"+shared, "there"))
			first.offer(t, p, "passing")

			front := process.FreeAddresses(t, 1)[0]
			dir, file := config(t, `
daemon off;
worker_processes 1;
error_log stderr;
pid nginx.pid;
events {}
http {
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  resolver `+p.DNS+`;
  resolver_timeout 2s;
  proxy_connect_timeout 2s;
  server {
    listen `+front+`;
    set $upstream "http://web.service.consul:`+shared+`";
    location / { proxy_pass $upstream; }
  }
}
`)
			daemon(t, "nginx", "-p", dir, "-e", "stderr", "-c", file)
			await := func(what string, status int, body string) {
				t.Helper()
				process.Eventually(t, 20*time.Second, what, func() error {
					got, page, err := get("http://" + front)
					if err == nil && (got != status || body != "" && page != body) {
						err = fmt.Errorf("%d %q, want %d %q", got, page, status, body)
					}
					return err
				})
			}
			await("it is found", 200, "here")
			second.offer(t, p, "passing")
			await("it moves", 200, "there")
			second.offer(t, p, "critical")
			await("it fails its check, so that there is no such name", 502, "")
			second.offer(t, p, "passing")
			await("it is well again", 200, "there")
			second.withdraw(t, p)
			await("it goes", 502, "")
			first.offer(t, p, "passing")
			await("it is back where it was", 200, "here")
		})
	}
}

// sharedPort is one that is free on these addresses: a name that moves takes nothing but its address along.
func sharedPort(t *testing.T, hosts ...string) string {
	t.Helper()
	for range 100 {
		p := port(process.FreeAddresses(t, 1)[0])
		free := true
		for _, host := range hosts {
			l, err := net.Listen("tcp", host+":"+p)
			if err != nil {
				free = false
				break
			}
			l.Close()
		}
		if free {
			return p
		}
	}
	t.Fatalf("no port is free on all of %v", hosts)
	return ""
}
