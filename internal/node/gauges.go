package node

import (
	"net"
	"strconv"

	"herald/registry"
)

// gauges registers what a server's store can be asked about at any time.
func (n *Node) gauges() {
	status := func(name, help string, read func(registry.Status) float64) {
		n.metrics.Gauge(name, help, func() float64 { return read(n.store.Status()) })
	}
	status("herald_raft_is_leader", "1 on the leader.", func(s registry.Status) float64 {
		if s.IsLeader {
			return 1
		}
		return 0
	})
	status("herald_raft_term", "The current term.", func(s registry.Status) float64 { return float64(s.Term) })
	status("herald_raft_applied_index", "The last log entry this server's state contains.",
		func(s registry.Status) float64 { return float64(s.Applied) })
	status("herald_raft_last_contact_seconds", "Time since this server heard from the leader; 0 on the leader.",
		func(s registry.Status) float64 { return s.LastContact.Seconds() })
	for space := registry.Space(0); space.Valid(); space++ {
		status("herald_"+space.String()+"_revision", "The revision of space "+space.String()+".",
			func(s registry.Status) float64 { return float64(s.Revisions[space]) })
	}
}

// port returns the port of a host:port address, 0 if it has none.
func port(address string) int {
	_, p, err := net.SplitHostPort(address)
	if err != nil {
		return 0
	}
	n, err := strconv.Atoi(p)
	if err != nil {
		return 0
	}
	return n
}
