package query

import (
	"slices"
	"strings"

	"herald/registry"
	"herald/registry/catalog"
)

// Options is how a query is executed.
type Options struct {
	// Near is the node whose instances come first; "" is none.
	Near string
	// Limit bounds how many instances are returned; 0 is no bound.
	Limit int
	// Shuffle brings the instances in an order of its own, as rand.Shuffle does, so
	// that who takes the first few does not always take the same; nil leaves theirs.
	Shuffle func(n int, swap func(i, j int))
}

// Execute returns the instances that d, which is no template, stands for.
func (d *Definition) Execute(x *catalog.Index, o Options) []*catalog.Instance {
	svc := x.Service(d.Service.Service)
	if svc == nil {
		return nil
	}
	var found []*catalog.Instance
	for _, i := range svc.Instances() {
		if d.Service.wants(i) {
			found = append(found, i)
		}
	}
	if o.Shuffle != nil {
		o.Shuffle(len(found), func(i, j int) { found[i], found[j] = found[j], found[i] })
	}
	if o.Near != "" {
		slices.SortStableFunc(found, func(a, b *catalog.Instance) int {
			return distance(a, o.Near) - distance(b, o.Near)
		})
	}
	if o.Limit > 0 && o.Limit < len(found) {
		found = found[:o.Limit]
	}
	return found
}

func distance(i *catalog.Instance, near string) int {
	if strings.EqualFold(i.Host.Name, near) {
		return 0
	}
	return 1
}

func (s *Service) wants(i *catalog.Instance) bool {
	switch s.status(i) {
	case registry.Critical:
		return false
	case registry.Warning:
		if s.OnlyPassing {
			return false
		}
	}
	return s.wantsTags(i.Tags) && contains(i.Host.Meta, s.NodeMeta) && contains(i.Meta, s.ServiceMeta)
}

// status is the instance's health without the checks that have no say.
func (s *Service) status(i *catalog.Instance) registry.HealthStatus {
	if len(s.IgnoreCheckIDs) == 0 {
		return i.Status
	}
	worst := registry.Passing
	for _, checks := range [][]*catalog.Check{i.Host.Checks, i.Checks} {
		for _, c := range checks {
			if !slices.Contains(s.IgnoreCheckIDs, c.ID) {
				worst = worst.Worse(c.Status)
			}
		}
	}
	return worst
}

func (s *Service) wantsTags(have []string) bool {
	for _, want := range s.Tags {
		tag, without := strings.CutPrefix(want, "!")
		if slices.ContainsFunc(have, func(h string) bool { return strings.EqualFold(h, tag) }) == without {
			return false
		}
	}
	return true
}

func contains(have, want map[string]string) bool {
	for k, v := range want {
		if h, ok := have[k]; !ok || h != v {
			return false
		}
	}
	return true
}
