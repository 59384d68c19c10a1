package httpserver

import (
	"strconv"
	"strings"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// view spells the catalog as the API has it.
type view struct{ datacenter string }

func (v view) node(n *catalog.Node) *api.Node {
	return &api.Node{
		ID: n.ID, Node: n.Name, Address: n.Address, Datacenter: v.datacenter,
		TaggedAddresses: n.TaggedAddresses, Meta: n.Meta,
		CreateIndex: index(n.CreateRevision), ModifyIndex: index(n.ModRevision),
	}
}

func (v view) nodeService(i *catalog.Instance) *api.NodeService {
	return &api.NodeService{
		ID: i.ID, Service: i.Service, Tags: orEmpty(i.Tags), Address: i.Address,
		TaggedAddresses: taggedAddresses(&i.Instance), Meta: i.Meta, Port: i.Port, SocketPath: i.SocketPath,
		Weights: api.Weights(i.Weights), EnableTagOverride: i.EnableTagOverride,
		CreateIndex: index(i.CreateRevision), ModifyIndex: index(i.ModRevision),
	}
}

func (v view) catalogService(i *catalog.Instance) api.CatalogService {
	return api.CatalogService{
		ID: i.Host.ID, Node: i.Host.Name, Address: i.Host.Address, Datacenter: v.datacenter,
		TaggedAddresses: i.Host.TaggedAddresses, NodeMeta: i.Host.Meta,
		ServiceID: i.ID, ServiceName: i.Service, ServiceTags: orEmpty(i.Tags), ServiceAddress: i.Address,
		ServiceTaggedAddresses: taggedAddresses(&i.Instance), ServiceWeights: api.Weights(i.Weights),
		ServiceMeta: orEmptyMap(i.Meta), ServicePort: i.Port, ServiceSocketPath: i.SocketPath,
		ServiceEnableTagOverride: i.EnableTagOverride,
		CreateIndex:              index(i.CreateRevision), ModifyIndex: index(i.ModRevision),
	}
}

// check spells a check; of is the instance it is of, nil for a node's own.
func (v view) check(c *catalog.Check, of *catalog.Instance) api.HealthCheck {
	var tags []string
	name := c.ServiceName
	if of != nil {
		tags, name = of.Tags, of.Service
	}
	return healthCheck(&c.Check, name, tags, index(c.CreateRevision), index(c.ModRevision))
}

func healthCheck(c *registry.Check, service string, tags []string, created, modified uint64) api.HealthCheck {
	return api.HealthCheck{
		Node: c.Node, CheckID: c.ID, Name: c.Name, Status: string(c.Status), Notes: c.Notes, Output: c.Output,
		ServiceID: c.ServiceID, ServiceName: service, ServiceTags: orEmpty(tags), Type: c.Kind,
		Interval: durationText(c.Interval), Timeout: durationText(c.Timeout),
		CreateIndex: created, ModifyIndex: modified,
	}
}

// entry spells an instance with its node and all checks that count for it.
func (v view) entry(i *catalog.Instance) api.ServiceEntry {
	return api.ServiceEntry{Node: v.node(i.Host), Service: v.nodeService(i), Checks: v.checksOf(i)}
}

func (v view) checksOf(i *catalog.Instance) []api.HealthCheck {
	checks := make([]api.HealthCheck, 0, len(i.Host.Checks)+len(i.Checks))
	for _, c := range i.Host.Checks {
		checks = append(checks, v.check(c, nil))
	}
	return append(checks, v.ownChecks(i)...)
}

func (v view) ownChecks(i *catalog.Instance) []api.HealthCheck {
	checks := make([]api.HealthCheck, 0, len(i.Checks))
	for _, c := range i.Checks {
		checks = append(checks, v.check(c, i))
	}
	return checks
}

// nodeChecks spells a node's own checks and those of everything on it.
func (v view) nodeChecks(n *catalog.Node) []api.HealthCheck {
	checks := []api.HealthCheck{}
	for _, c := range n.Checks {
		checks = append(checks, v.check(c, nil))
	}
	for _, i := range n.Instances() {
		checks = append(checks, v.ownChecks(i)...)
	}
	return checks
}

// taggedAddresses are the instance's, with those that clients look for on every
// instance whose address is an IP address.
func taggedAddresses(i *registry.Instance) map[string]api.ServiceAddress {
	ip, ok := registry.IP(i.Address)
	if !ok && len(i.TaggedAddresses) == 0 {
		return nil
	}
	all := make(map[string]api.ServiceAddress, len(i.TaggedAddresses)+2)
	if ok {
		family := "ipv6"
		if ip.Is4() {
			family = "ipv4"
		}
		all["lan_"+family] = api.ServiceAddress{Address: i.Address, Port: i.Port}
		all["wan_"+family] = api.ServiceAddress{Address: i.Address, Port: i.Port}
	}
	for tag, a := range i.TaggedAddresses {
		all[tag] = api.ServiceAddress(a)
	}
	return all
}

func durationText(d time.Duration) string {
	if d == 0 {
		return ""
	}
	return d.String()
}

func orEmpty(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}

func orEmptyMap(m map[string]string) map[string]string {
	if m == nil {
		return map[string]string{}
	}
	return m
}

// selection is which instances or nodes a query wants.
type selection struct {
	passing bool
	tags    []string // each must be there, in any case
	meta    []pair   // of the node; each must be there
	// filter is the expression that the documents are selected by, once they are made.
	filter string
	// near is the node whose instances come first, "" for none.
	near string
}

// selection reads which instances or nodes a request wants, and in which order.
func (s *surface) selection(q *request) selection {
	sel := parseSelection(&q.query)
	sel.near = s.nearOf(q)
	return sel
}

// parseSelection reads ?tag= and ?node-meta=k:v, both repeatable.
func parseSelection(p *params) selection {
	sel := selection{tags: p.all("tag"), filter: p.get("filter")}
	for _, kv := range p.all("node-meta") {
		k, v, _ := strings.Cut(kv, ":")
		sel.meta = append(sel.meta, pair{k, v})
	}
	return sel
}

// all reports whether nothing but health is selected by, and the order is any.
func (sel *selection) all() bool { return len(sel.tags) == 0 && len(sel.meta) == 0 && sel.near == "" }

// key names the selection's answer of one kind among those kept for a service. What
// clients write is quoted in it, so that none can pass for another's.
func (sel *selection) key(kind string) string {
	if sel.passing {
		kind += "+passing"
	}
	if sel.all() && sel.filter == "" {
		return kind
	}
	var b strings.Builder
	b.WriteString(kind)
	for _, t := range sel.tags {
		b.WriteString(" tag " + strconv.Quote(strings.ToLower(t)))
	}
	for _, m := range sel.meta {
		b.WriteString(" meta " + strconv.Quote(m.key) + strconv.Quote(m.value))
	}
	if sel.near != "" {
		b.WriteString(" near " + strconv.Quote(strings.ToLower(sel.near)))
	}
	if sel.filter != "" {
		b.WriteString(" filter " + strconv.Quote(sel.filter))
	}
	return b.String()
}

// instances are those of the service that are selected, in order.
func (sel *selection) instances(svc *catalog.Service) []*catalog.Instance {
	all := svc.Instances()
	if sel.passing {
		all = svc.Serving(true)
	}
	if sel.all() {
		return all
	}
	var some []*catalog.Instance
	for _, i := range all {
		if hasTags(i.Tags, sel.tags) && sel.node(i.Host) {
			some = append(some, i)
		}
	}
	return nearest(some, sel.near, func(i **catalog.Instance) string { return (*i).Host.Name })
}

func (sel *selection) node(n *catalog.Node) bool {
	for _, m := range sel.meta {
		if v, ok := n.Meta[m.key]; !ok || v != m.value {
			return false
		}
	}
	return true
}

func hasTags(have, want []string) bool {
	for _, w := range want {
		found := false
		for _, h := range have {
			found = found || strings.EqualFold(h, w)
		}
		if !found {
			return false
		}
	}
	return true
}
