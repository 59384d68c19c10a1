package dnsserver

import (
	"strings"

	"herald/registry/catalog"
)

// near is where the client is, as instances say of themselves by responder.zoneMeta: where
// the node that has its address is, else where this process's node is. It is "" if
// neither says, or if that has no say.
func (w *worker) near() string {
	if w.zoneMeta == "" {
		return ""
	}
	for _, n := range w.clientNodes() {
		if zone := n.Meta[w.zoneMeta]; zone != "" {
			return zone
		}
	}
	if n := w.index.Node(w.local); n != nil {
		return n.Meta[w.zoneMeta]
	}
	return ""
}

// clientNodes are the nodes that have the client's address. One that asks over loopback is at none.
func (w *worker) clientNodes() []*catalog.Node {
	if client := w.query.client; client.IsValid() && !client.IsLoopback() {
		nodes, _ := w.index.ByAddress(client)
		return nodes
	}
	return nil
}

// inZone picks the instances that are in a zone, or on a node that is; it is nil for "".
func (r *responder) inZone(zone string) func(*catalog.Instance) bool {
	if zone == "" {
		return nil
	}
	return func(i *catalog.Instance) bool {
		if own := i.Meta[r.zoneMeta]; own != "" {
			return own == zone
		}
		return i.Host.Meta[r.zoneMeta] == zone
	}
}

// The words that stand for nodes in a prepared query's Near.
const (
	nearAgent  = "_agent" // this process's
	nearClient = "_ip"    // the one that has the client's address
)

// onNode picks the instances on the node that a prepared query's Near names; it is nil if that is none.
func (w *worker) onNode(near string) func(*catalog.Instance) bool {
	switch near {
	case "":
		return nil
	case nearAgent:
		near = w.local
	case nearClient:
		near = w.local
		if nodes := w.clientNodes(); len(nodes) > 0 {
			near = nodes[0].Name
		}
	}
	return func(i *catalog.Instance) bool { return strings.EqualFold(i.Host.Name, near) }
}
