package cli

import (
	"fmt"
	"maps"
	"net"
	"slices"

	"herald/internal/node"
	"herald/registry/plugin"
)

// announce says what listens where.
func (p *program) announce(c *config, n *node.Node) {
	fmt.Fprintf(p.out, "herald %s, node %s, datacenter %s\n", Version(), c.core.Node.Name, c.core.Datacenter)
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

// announceDev adds three commands to try.
func (p *program) announceDev(c *config, n *node.Node) {
	p.announce(c, n)
	all := n.Addresses()
	web := first(all["http"], "127.0.0.1:8500")
	fmt.Fprintf(p.out, "\nTry:\n  curl -X PUT -d v1 http://%s/v1/kv/app/db\n  curl 'http://%s/v1/kv/app/db?raw'\n", web, web)
	host, port, err := net.SplitHostPort(first(all["dns"], "127.0.0.1:8600"))
	if err == nil {
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
