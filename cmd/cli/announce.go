package cli

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"time"

	"herald/internal/node"
	"herald/registry/plugin"
)

// announce says what listens where.
func (p *program) announce(c *config, n *node.Node) {
	fmt.Fprintf(p.out, "herald %s (version %s), node %s, datacenter %s\n", c.role, Version(), c.core.Node.Name, c.core.Datacenter)
	if c.core.DataDir != "" {
		fmt.Fprintf(p.out, "  %-8s %s\n", "data", c.core.DataDir)
	}
	all := n.Addresses()
	for _, door := range slices.Sorted(maps.Keys(all)) {
		for _, a := range all[door] {
			fmt.Fprintf(p.out, "  %-8s %s/%s  %s\n", door, a.Address, a.Network, a.Use)
		}
	}
}

// announceAfter is how long a start may wait for one thing before that is said.
const announceAfter = time.Second

// announceReady says when the process can be asked, and for `herald dev` what to
// ask; until then what it waits for, if that takes a while. The returned function waits
// until it has, or has given up.
func (p *program) announceReady(ctx context.Context, c *config, n *node.Node) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		said, waits, since := "", "", time.Now()
		for {
			why := n.Ready()
			if why == nil {
				break
			}
			switch text := why.Error(); {
			case text != waits:
				waits, since = text, time.Now()
			case text != said && time.Since(since) > announceAfter:
				said = text
				fmt.Fprintln(p.out, "waiting:", text)
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		fmt.Fprintln(p.out, "ready")
		if c.role == "dev" {
			p.suggest(n.Addresses())
		}
	})
	return func() { cancel(); wg.Wait() }
}

// suggest prints three commands to try.
func (p *program) suggest(all map[string][]plugin.Address) {
	web := first(all["http"], "127.0.0.1:8500")
	fmt.Fprintf(p.out, "\nTry:\n  curl -X PUT -d v1 http://%s/v1/kv/app/db\n  curl 'http://%s/v1/kv/app/db?raw'\n", web, web)
	if host, port, err := net.SplitHostPort(first(all["dns"], "127.0.0.1:8600")); err == nil {
		fmt.Fprintf(p.out, "  dig @%s -p %s consul.service.consul SRV\n", host, port)
	}
	fmt.Fprintln(p.out)
}

func first(list []plugin.Address, otherwise string) string {
	if len(list) == 0 {
		return otherwise
	}
	return list[0].Address
}
