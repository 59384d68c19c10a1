package agent

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"

	"herald/agent/check"
	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/definition"
)

// kindMaintenance marks the checks that maintenance mode puts on. It cannot be
// asked for by definition.
const kindMaintenance = "maintenance"

// How long a run may take when its definition does not say.
const (
	defaultTimeout     = 10 * time.Second
	defaultExecTimeout = 30 * time.Second
)

// prepared is a service definition that can be advertised: complete, valid, and
// sharing nothing with who gave it.
type prepared struct {
	def      registry.ServiceDefinition // without Checks
	checks   []preparedCheck
	warnings []string
}

type preparedCheck struct {
	def     registry.CheckDefinition
	checker registry.Checker
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w: %w", registry.ErrInvalidDefinition, fmt.Errorf(format, args...))
}

// prepareService completes and validates a service definition and all of its
// checks. It changes nothing.
func (a *Agent) prepareService(d registry.ServiceDefinition, o owner) (prepared, error) {
	if d.Name == "" {
		return prepared{}, invalid("the service has no name")
	}
	if d.ID == "" {
		d.ID = d.Name
	}
	if d.Weights == nil {
		w := registry.DefaultWeights()
		d.Weights = &w
	}
	if err := a.validService(d); err != nil {
		return prepared{}, fmt.Errorf("service %q: %w", d.ID, err)
	}
	p := prepared{def: cloneService(d), warnings: definition.NameWarnings(d)}
	p.def.Checks = nil
	for i, c := range d.Checks {
		if c.ServiceID != "" && c.ServiceID != d.ID {
			return prepared{}, fmt.Errorf("service %q: %w", d.ID, invalid("check %d names another service, %q", i+1, c.ServiceID))
		}
		c.ServiceID = d.ID
		if c.ID == "" {
			c.ID = "service:" + d.ID
			if len(d.Checks) > 1 {
				c.ID = fmt.Sprintf("service:%s:%d", d.ID, i+1)
			}
		}
		if c.Name == "" {
			c.Name = serviceCheckName(d.Name)
		}
		pc, warnings, err := a.prepareCheck(c, o)
		if err != nil {
			return prepared{}, fmt.Errorf("service %q: %w", d.ID, err)
		}
		if slices.ContainsFunc(p.checks, func(q preparedCheck) bool { return q.def.ID == pc.def.ID }) {
			return prepared{}, fmt.Errorf("service %q: %w", d.ID, invalid("two checks have the id %q", pc.def.ID))
		}
		p.checks = append(p.checks, pc)
		p.warnings = append(p.warnings, warnings...)
	}
	return p, nil
}

func serviceCheckName(service string) string { return fmt.Sprintf("Service '%s' check", service) }

func (a *Agent) validService(d registry.ServiceDefinition) error {
	if err := catalog.ValidateInstance(d.Instance(a.cfg.Node.Name)); err != nil {
		return invalid("%w", err)
	}
	if d.Weights.Passing < 1 {
		return invalid("weights: passing is %d, and must be at least 1", d.Weights.Passing)
	}
	if ip, err := netip.ParseAddr(d.Address); err == nil && ip.IsUnspecified() {
		return invalid("address: %s is every address of the machine, and nobody can connect to it; leave it empty for the node's own", d.Address)
	}
	return nil
}

// prepareCheck completes and validates a check definition that has its id, name
// and service already. It changes nothing.
func (a *Agent) prepareCheck(d registry.CheckDefinition, o owner) (preparedCheck, []string, error) {
	fail := func(format string, args ...any) (preparedCheck, []string, error) {
		return preparedCheck{}, nil, fmt.Errorf("check %q: %w", d.ID, invalid(format, args...))
	}
	if err := catalog.ValidateCheck(registry.Check{Node: a.cfg.Node.Name, ID: d.ID, ServiceID: d.ServiceID}); err != nil {
		return fail("%w", err)
	}
	switch {
	case d.ID == registry.NodeCheckID || d.ID == nodeMaintenanceID || strings.HasPrefix(d.ID, serviceMaintenancePrefix):
		return fail("the id is reserved")
	case d.Status != "" && !d.Status.Valid():
		return fail("status is %q, and must be %q, %q or %q", string(d.Status), registry.Passing, registry.Warning, registry.Critical)
	case d.OutputMaxSize < 0 || d.SuccessBeforePassing < 0 || d.FailuresBeforeWarning < 0 || d.FailuresBeforeCritical < 0 ||
		d.DeregisterAfter < 0 || d.Timeout < 0 || d.Interval < 0 || d.TTL < 0:
		return fail("a number in it is below 0")
	case d.FailuresBeforeWarning > max(d.FailuresBeforeCritical, 1):
		return fail("failures_before_warning (%d) is above failures_before_critical (%d)", d.FailuresBeforeWarning, d.FailuresBeforeCritical)
	case d.DeregisterAfter > 0 && d.ServiceID == "":
		return fail("it is to deregister a service after %v, and belongs to none", d.DeregisterAfter)
	case check.RunsCommand(d.Kind) && !a.cfg.AllowExec && o.origin != fromFile && o.origin != fromConfig:
		return preparedCheck{}, nil, fmt.Errorf("check %q: %w", d.ID, registry.ErrExecDisabled)
	}
	if d.OutputMaxSize == 0 {
		d.OutputMaxSize = check.DefaultOutputMaxSize
	}
	var warnings []string
	if d.DeregisterAfter > 0 && d.DeregisterAfter < reapAfterMin {
		warnings = append(warnings, fmt.Sprintf("check %q: the service is deregistered after %v, not %v: that is the shortest there is", d.ID, reapAfterMin, d.DeregisterAfter))
		d.DeregisterAfter = reapAfterMin
	}
	if d.Kind == check.TTL {
		if d.Interval != 0 || d.Timeout != 0 {
			return fail("interval and timeout are not for a ttl check")
		}
		if _, err := check.NewTTL(d); err != nil {
			return preparedCheck{}, nil, fmt.Errorf("check %q: %w", d.ID, err)
		}
		return preparedCheck{def: cloneCheck(d)}, warnings, nil
	}

	if d.Kind == check.Alias {
		if d.Interval != 0 || d.Timeout != 0 || d.TTL != 0 {
			return fail("interval, timeout and ttl are not for an alias check")
		}
		if _, err := check.NewAlias(d); err != nil {
			return preparedCheck{}, nil, fmt.Errorf("check %q: %w", d.ID, err)
		}
		return preparedCheck{def: cloneCheck(d)}, warnings, nil
	}

	newChecker := a.kinds[d.Kind]
	switch {
	case d.Kind == "":
		return fail("it has no kind")
	case newChecker == nil:
		return fail("kind %q is not known; there are %s", d.Kind, strings.Join(a.kindNames(), ", "))
	case d.TTL != 0:
		return fail("ttl is not for a check of kind %s", d.Kind)
	case d.Interval == 0:
		return fail("interval must be above 0")
	}
	if d.Interval < minInterval {
		warnings = append(warnings, fmt.Sprintf("check %q: it runs every %v, not every %v: that is the shortest there is", d.ID, minInterval, d.Interval))
		d.Interval = minInterval
	}
	if d.Timeout == 0 {
		d.Timeout = defaultTimeout
		if check.RunsCommand(d.Kind) {
			d.Timeout = defaultExecTimeout
		}
	}
	d = cloneCheck(d)
	checker, err := newChecker(d)
	if err != nil {
		return preparedCheck{}, nil, fmt.Errorf("check %q: %w", d.ID, err)
	}
	return preparedCheck{def: d, checker: checker}, warnings, nil
}

func (a *Agent) kindNames() []string {
	names := slices.Collect(maps.Keys(a.kinds))
	names = append(names, check.Alias, check.TTL) // which the agent does itself
	slices.Sort(names)
	return slices.Compact(names)
}
