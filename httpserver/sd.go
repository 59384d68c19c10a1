package httpserver

import (
	"encoding/json"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/catalog"
)

// sdPrometheus is GET /v1/sd/prometheus: instances as targets, in the form that
// Prometheus's http_sd_configs reads. Only those that pass are listed unless
// ?passing=false; ?service= (repeatable), ?tag=, ?node-meta= and ?filter= select.
func (s *surface) sdPrometheus(q *request) error {
	sel := s.selection(q)
	var err error
	if sel.passing, err = q.passing(true); err != nil {
		return err
	}
	f, err := filterOf(q, &s.filters.entries)
	if err != nil {
		return err
	}
	names := q.query.all("service")
	topic := anything
	if len(names) == 1 {
		topic = catalog.ServiceTopic(names[0])
	}
	x, err := s.catalogRead(q, topic)
	if err != nil {
		return err
	}
	v := view{s.datacenter}
	b := []byte{'['}
	for _, svc := range servicesNamed(x.Index, names) {
		groups := svc.Memo(sel.key("sd"), func() []byte { return v.targets(sel.instances(svc), f.Match) })
		if len(groups) == 0 {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(b, groups...)
	}
	return q.jsonBytes(append(b, ']'))
}

// servicesNamed are the services of those names, each once, or all if there are no
// names; by name.
func servicesNamed(x *catalog.Index, names []string) []*catalog.Service {
	if len(names) == 0 {
		return slices.Collect(x.Services())
	}
	var some []*catalog.Service
	for _, n := range names {
		if svc := x.Service(n); svc != nil && !slices.Contains(some, svc) {
			some = append(some, svc)
		}
	}
	slices.SortFunc(some, func(a, b *catalog.Service) int { return strings.Compare(a.Name, b.Name) })
	return some
}

// targets are a target group for each instance that match lets through, as elements
// of a JSON list.
func (v view) targets(instances []*catalog.Instance, match func(*api.ServiceEntry) bool) []byte {
	var b []byte
	for _, i := range instances {
		if e := v.entry(i); !match(&e) {
			continue
		}
		group, err := json.Marshal(v.target(i))
		if err != nil {
			panic(err) // it is made of text
		}
		if len(b) > 0 {
			b = append(b, ',')
		}
		b = append(b, group...)
	}
	return b
}

// target spells an instance with the labels that Prometheus's consul_sd_configs gives
// it, so that rules made for those go on to hold.
func (v view) target(i *catalog.Instance) api.TargetGroup {
	address := i.Address
	if address == "" {
		address = i.Host.Address
	}
	port := strconv.Itoa(i.Port)
	labels := map[string]string{
		"__meta_consul_dc":              v.datacenter,
		"__meta_consul_node":            i.Host.Name,
		"__meta_consul_address":         i.Host.Address,
		"__meta_consul_service":         i.Service,
		"__meta_consul_service_id":      i.ID,
		"__meta_consul_service_address": i.Address,
		"__meta_consul_service_port":    port,
		"__meta_consul_health":          healthLabel(i),
		// With the separator at both ends, too, so that ",v1," finds the tag v1.
		"__meta_consul_tags": "," + strings.Join(i.Tags, ",") + ",",
	}
	for prefix, from := range map[string]map[string]string{
		"__meta_consul_metadata_":         i.Host.Meta,
		"__meta_consul_tagged_address_":   i.Host.TaggedAddresses,
		"__meta_consul_service_metadata_": i.Meta,
	} {
		// In order, since keys that differ can make one label.
		for _, k := range slices.Sorted(maps.Keys(from)) {
			labels[prefix+labelName(k)] = from[k]
		}
	}
	return api.TargetGroup{Targets: []string{net.JoinHostPort(address, port)}, Labels: labels}
}

// healthLabel is an instance's status, or "maintenance" while it or its node is in that.
func healthLabel(i *catalog.Instance) string {
	for _, c := range i.Host.Checks {
		if c.ID == nodeMaintenanceID {
			return "maintenance"
		}
	}
	for _, c := range i.Checks {
		if strings.HasPrefix(c.ID, serviceMaintenanceIDPrefix) {
			return "maintenance"
		}
	}
	if i.Status == "" {
		return string(registry.Passing)
	}
	return string(i.Status)
}

// labelName puts an underscore for whatever Prometheus has not in a label's name.
func labelName(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z', 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return '_'
	}, s)
}

// passing reads ?passing, which may have a value.
func (q *request) passing(unless bool) (bool, error) {
	v, ok := q.query.lookup("passing")
	if !ok {
		return unless, nil
	}
	if v == "" {
		return true, nil
	}
	on, err := strconv.ParseBool(v)
	if err != nil {
		return false, refuse(http.StatusBadRequest, "Invalid value for ?passing")
	}
	return on, nil
}
