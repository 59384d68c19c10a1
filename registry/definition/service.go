package definition

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"herald/registry"
)

// The form's limits on Meta.
const (
	maxMeta      = 64
	maxMetaKey   = 128
	maxMetaValue = 512
)

const maxPort = 65535

// ParseService reads a service definition as the HTTP API's register endpoint
// takes it. Warnings say what the caller should know although it was accepted.
// Errors are *Error.
func ParseService(b []byte) (registry.ServiceDefinition, []string, error) {
	p, v, err := begin("", b, true)
	if err != nil {
		return registry.ServiceDefinition{}, nil, err
	}
	d, err := p.service(v)
	if err != nil {
		return registry.ServiceDefinition{}, nil, err
	}
	return d, p.warnings, nil
}

func (p *parser) service(v *value) (registry.ServiceDefinition, error) {
	var d registry.ServiceDefinition
	var kind string
	var one, many *value
	keep := func(to **value) setter {
		return func(_ *input, m *member) error { *to = m.v; return nil }
	}
	err := p.in.object("a service", v, map[string]setter{
		"id":                  text(&d.ID),
		"name":                text(&d.Name),
		"tags":                texts(&d.Tags),
		"address":             text(&d.Address),
		"port":                number(&d.Port),
		"tagged_addresses":    taggedAddresses(&d.TaggedAddresses),
		"meta":                textMap(&d.Meta),
		"weights":             weights(&d.Weights),
		"enable_tag_override": flag(&d.EnableTagOverride),
		"socket_path":         text(&d.SocketPath),
		"check":               keep(&one),
		"checks":              keep(&many),
		"kind":                text(&kind),

		"proxy":   blankOnly("Herald runs no service mesh"),
		"connect": blankOnly("Herald runs no service mesh"),
		"ports":   blankOnly("an instance has one port; register one service for each"),

		"namespace": p.warned("default", "Herald has one namespace"),
		"partition": p.warned("default", "Herald has one partition"),
		"locality":  p.warned("", "Herald does not route by locality"),
		"token":     ignored,
	})
	if err != nil {
		return d, err
	}
	if kind != "" && kind != "typical" {
		return d, p.refuse(v, "service kind %q is not supported: Herald runs no service mesh", kind)
	}
	if p.strict {
		if err := p.checkService(v, &d); err != nil {
			return d, err
		}
	}
	if d.Checks, err = p.checksOf(one, many); err != nil {
		return d, err
	}
	if p.strict {
		if err := p.uniqueChecks(v, &d); err != nil {
			return d, err
		}
		p.warnings = append(p.warnings, NameWarnings(d)...)
	}
	return d, nil
}

// checksOf reads a service's Check and Checks.
func (p *parser) checksOf(one, many *value) ([]registry.CheckDefinition, error) {
	var all []registry.CheckDefinition
	// Clients that have no check send an empty one.
	if one != nil && !(one.kind == '{' && one.blank()) {
		c, err := p.check(one)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	if many == nil {
		return all, nil
	}
	list, err := listOf(p, "checks", many, p.check)
	return append(all, list...), err
}

// listOf reads a list of services or checks.
func listOf[T any](p *parser, what string, v *value, read func(*value) (T, error)) ([]T, error) {
	if v.kind != '[' {
		return nil, p.in.undecodable(v.at, "%q must be a list, not %s", what, v.what())
	}
	var all []T
	for _, e := range v.list {
		d, err := read(e)
		if err != nil {
			return nil, err
		}
		all = append(all, d)
	}
	return all, nil
}

func taggedAddresses(to *map[string]registry.ServiceAddress) setter {
	return each(func(in *input, m *member) error {
		var a registry.ServiceAddress
		err := in.object("a tagged address", m.v, map[string]setter{"address": text(&a.Address), "port": number(&a.Port)})
		if err != nil {
			return err
		}
		if *to == nil {
			*to = map[string]registry.ServiceAddress{}
		}
		(*to)[m.name] = a
		return nil
	})
}

func weights(to **registry.Weights) setter {
	return func(in *input, m *member) error {
		w := registry.DefaultWeights()
		*to = &w
		return in.object("Weights", m.v, map[string]setter{"passing": number(&w.Passing), "warning": number(&w.Warning)})
	}
}

// checkService says what is wrong with a service, its checks aside.
func (p *parser) checkService(v *value, d *registry.ServiceDefinition) error {
	if d.Name == "" {
		return p.refuse(v, "Missing service name")
	}
	if d.Port < 0 || d.Port > maxPort {
		return p.refuse(v, "Invalid service port %d: a port is within 0 to %d", d.Port, maxPort)
	}
	if ip, err := netip.ParseAddr(d.Address); err == nil && ip.IsUnspecified() {
		return p.refuse(v, "Invalid service address")
	}
	for _, tag := range slices.Sorted(maps.Keys(d.TaggedAddresses)) {
		if port := d.TaggedAddresses[tag].Port; port < 0 || port > maxPort {
			return p.refuse(v, "Invalid service port %d of tagged address %q: a port is within 0 to %d", port, tag, maxPort)
		}
	}
	if w := d.Weights; w != nil {
		problem := ""
		switch {
		case w.Passing < 1:
			problem = "Passing must be greater than 0"
		case w.Warning < 0:
			problem = "Warning must be 0 or greater"
		case w.Passing > maxPort:
			problem = fmt.Sprintf("Passing must be at most %d", maxPort)
		case w.Warning > maxPort:
			problem = fmt.Sprintf("Warning must be at most %d", maxPort)
		}
		if problem != "" {
			return p.refuse(v, "Invalid Weights: %s", problem)
		}
	}
	if len(d.Meta) > maxMeta {
		return p.refuse(v, "Invalid Service Meta: it has %d pairs, above %d", len(d.Meta), maxMeta)
	}
	for _, key := range slices.Sorted(maps.Keys(d.Meta)) {
		if problem := metaProblem(key, d.Meta[key]); problem != "" {
			return p.refuse(v, "Invalid Service Meta: %s", problem)
		}
	}
	return nil
}

func metaProblem(key, value string) string {
	switch {
	case key == "":
		return "a key is empty"
	case len(key) > maxMetaKey:
		return fmt.Sprintf("key %.32q… has %d bytes, above %d", key, len(key), maxMetaKey)
	case strings.ContainsFunc(key, func(r rune) bool {
		return !(r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z')
	}):
		return fmt.Sprintf("key %q has characters other than letters, digits, hyphens and underscores", key)
	case len(value) > maxMetaValue:
		return fmt.Sprintf("the value of %q has %d bytes, above %d", key, len(value), maxMetaValue)
	default:
		return ""
	}
}

// uniqueChecks refuses two checks of one id, where a check without one counts by
// the id that it will be given.
func (p *parser) uniqueChecks(v *value, d *registry.ServiceDefinition) error {
	seen := map[string]bool{}
	for i, c := range d.Checks {
		id := c.ID
		if id == "" {
			id = "service:" + serviceID(d)
			if len(d.Checks) > 1 {
				id = fmt.Sprintf("%s:%d", id, i+1)
			}
		}
		if seen[id] {
			return p.refuse(v, "Invalid check: two checks have the id %q", id)
		}
		seen[id] = true
	}
	return nil
}

func serviceID(d *registry.ServiceDefinition) string {
	if d.ID == "" {
		return d.Name
	}
	return d.ID
}

// NameWarnings says which of a service's names DNS cannot carry: its own, and its
// tags. Such a service is found over HTTP all the same.
func NameWarnings(d registry.ServiceDefinition) []string {
	var warnings []string
	if problem := registry.DNSLabelProblem(d.Name); problem != "" {
		warnings = append(warnings, fmt.Sprintf("service name %q cannot be looked up by DNS: %s", d.Name, problem))
	}
	var bad []string
	for _, tag := range d.Tags {
		if registry.DNSLabelProblem(tag) != "" {
			bad = append(bad, fmt.Sprintf("%q", tag))
		}
	}
	if len(bad) > 0 {
		warnings = append(warnings, fmt.Sprintf("service %q cannot be looked up by DNS by these tags: %s",
			serviceID(&d), strings.Join(bad, ", ")))
	}
	return warnings
}
