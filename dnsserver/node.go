package dnsserver

import (
	"maps"
	"slices"
	"strings"

	"herald/registry"

	"github.com/miekg/dns"
)

// bareText begins the keys of metadata whose value is a TXT record by itself;
// that of others is key=value, as RFC 1464 has it.
const bareText = "rfc1035-"

// node answers for a node: its addresses, and its metadata as TXT.
func (w *worker) node(owner int, l *lookup, depth int) end {
	n := w.index.Node(view(l.name))
	if n == nil {
		return end{noName, owner, l}
	}
	e, ttl := nodeEndpoint(n), w.nodeTTLs.of(n.Name)
	if e.host != "" && (w.query.qtype != dns.TypeTXT || len(n.Meta) == 0) {
		return w.alias(owner, l, e.host, ttl, depth)
	}
	w.addresses.reset()
	list := w.list()
	w.addressAnswers(&list, owner, &e, ttl)
	if w.wants(dns.TypeTXT) {
		w.textAnswers(owner, &n.Node, ttl)
	}
	return end{list.outcome(), owner, l}
}

// textAnswers writes a node's metadata.
func (w *worker) textAnswers(owner int, n *registry.Node, ttl uint32) {
	for _, text := range nodeTexts(n) {
		k := w.mark()
		var ok bool
		if w.body, ok = w.appendText(w.body, owner, text, ttl); ok {
			w.keep(k)
		} else {
			w.truncated = true
		}
	}
}

// nodeTexts is a node's metadata as texts, by key.
func nodeTexts(n *registry.Node) []string {
	texts := make([]string, 0, len(n.Meta))
	for _, key := range slices.Sorted(maps.Keys(n.Meta)) {
		text := n.Meta[key]
		if !strings.HasPrefix(strings.ToLower(key), bareText) {
			text = key + "=" + text
		}
		if !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	return texts
}

// address answers for an address that is spelled as a name. Any can be asked
// for, registered or not.
func (w *worker) address(owner int, l *lookup) outcome {
	list := w.list()
	w.addresses.reset()
	w.addressAnswer(&list, owner, l.address, w.nodeTTLs.other)
	return list.outcome()
}

// reverse answers for an address as the reverse zones spell it, with the names of
// the nodes that have it, else of the services.
func (w *worker) reverse(owner int, l *lookup) outcome {
	nodes, instances := w.index.ByAddress(l.address)
	if len(nodes)+len(instances) == 0 {
		return noName
	}
	list := w.list()
	if !w.wants(dns.TypePTR) {
		return noData
	}
	for _, n := range nodes {
		w.pointerAnswer(owner, n.Name, w.speller.node, w.nodeTTLs.of(n.Name))
	}
	if !list.empty() {
		return found
	}
	var names []string
	for _, i := range instances {
		if name := strings.ToLower(i.Service); !slices.Contains(names, name) {
			names = append(names, name)
			w.pointerAnswer(owner, i.Service, w.speller.service, w.serviceTTLs.of(name))
		}
	}
	return list.outcome()
}

// pointerAnswer writes a PTR record to a name of the first zone, if DNS can spell it.
func (w *worker) pointerAnswer(owner int, name string, spell func([]byte, string, *zone) ([]byte, bool), ttl uint32) {
	k := w.mark()
	w.body = w.record(w.body, owner, dns.TypePTR, ttl)
	data := len(w.body)
	var ok bool
	if w.body, ok = spell(w.body, name, w.primary); !ok {
		w.takeBack(k)
		return
	}
	endRecord(w.body, data)
	w.keep(k)
}
