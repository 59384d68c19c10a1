package agent

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"herald/registry"
)

func keepChecks(*healthCheck) bool { return true }
func dropChecks(*healthCheck) bool { return false }

// RegisterService implements registry.Agent. The definition is copied.
func (a *Agent) RegisterService(ctx context.Context, d registry.ServiceDefinition, replaceChecks bool) ([]string, error) {
	api := owner{origin: fromAPI}
	p, err := a.prepareService(d, api)
	if err != nil {
		return nil, err
	}
	if d.Lease != 0 {
		if err := a.askLease(ctx, d.Lease); err != nil {
			return nil, fmt.Errorf("service %q: %w", p.def.ID, err)
		}
	}
	keep := keepChecks
	if replaceChecks {
		keep = dropChecks
	}
	err = a.change(ctx, func(d *draft) error { return d.putService(p, api, keep) })
	if err != nil {
		return nil, err
	}
	return p.warnings, nil
}

// DeregisterService implements registry.Agent. A service that a file defines comes
// back when files are read next; one of the agent's own configuration stays, with
// registry.ErrInvalid.
func (a *Agent) DeregisterService(ctx context.Context, id string) error {
	return a.change(ctx, func(d *draft) error {
		sv := d.service(id)
		switch {
		case sv == nil:
			return fmt.Errorf("service %q: %w", id, registry.ErrServiceNotFound)
		case sv.owner.origin == fromConfig:
			return fmt.Errorf("service %q: %w: it is the agent's own and stays as long as it runs", id, registry.ErrInvalid)
		}
		d.dropService(id)
		return nil
	})
}

// RegisterCheck implements registry.Agent. Without an id, the check's name is its
// id. A service that is not there fails with registry.ErrServiceNotFound.
func (a *Agent) RegisterCheck(ctx context.Context, def registry.CheckDefinition) error {
	api := owner{origin: fromAPI}
	return a.change(ctx, func(d *draft) error {
		p, warnings, err := a.prepareLoneCheck(def, api, d.service)
		if err != nil {
			return err
		}
		for _, w := range warnings {
			a.log.Warn("check definition", "warning", w)
		}
		return d.putLoneCheck(p, api)
	})
}

// prepareLoneCheck is prepareCheck for a check that is registered by itself.
func (a *Agent) prepareLoneCheck(def registry.CheckDefinition, o owner, service func(id string) *service) (preparedCheck, []string, error) {
	if def.ID == "" {
		def.ID = def.Name
	}
	if def.ServiceID != "" {
		sv := service(def.ServiceID)
		if sv == nil {
			return preparedCheck{}, nil, fmt.Errorf("check %q: service %q: %w", def.ID, def.ServiceID, registry.ErrServiceNotFound)
		}
		if def.ID == "" {
			def.ID = "service:" + def.ServiceID
		}
		if def.Name == "" {
			def.Name = serviceCheckName(sv.def.Name)
		}
	}
	if def.ID == "" {
		return preparedCheck{}, nil, invalid("the check has neither a name nor an id")
	}
	if def.Name == "" {
		def.Name = def.ID
	}
	return a.prepareCheck(def, o)
}

// DeregisterCheck implements registry.Agent. Removing the check of a maintenance mode
// ends that mode.
func (a *Agent) DeregisterCheck(ctx context.Context, id string) error {
	return a.change(ctx, func(d *draft) error {
		c := d.check(id)
		switch {
		case c == nil:
			return fmt.Errorf("check %q: %w", id, registry.ErrCheckNotFound)
		case c.owner.origin == fromConfig:
			return fmt.Errorf("check %q: %w: it is the agent's own and stays as long as it runs", id, registry.ErrInvalid)
		}
		d.dropCheck(id)
		return nil
	})
}

// SetSource makes services all that the source of that name defines; what it had
// before and no longer names is withdrawn. The error joins those of the definitions
// that were refused (registry.ErrInvalidDefinition, ErrExecDisabled, or
// ErrDuplicateService for an id that another origin holds, or that is named a second
// time); the others take effect. A service whose new definition is refused stays as
// the source last defined it. On any other error nothing has changed.
func (a *Agent) SetSource(ctx context.Context, name string, services []registry.ServiceDefinition) error {
	o := owner{origin: fromSource, source: name}
	var refused []error
	refuse := func(err error) { refused = append(refused, fmt.Errorf("source %s: %w", name, err)) }
	all := make([]prepared, 0, len(services))
	named, held := map[string]bool{}, map[string]bool{}
	for _, def := range services {
		p, err := a.prepareService(def, o)
		switch {
		case err != nil:
			refuse(err)
			held[cmp.Or(def.ID, def.Name)] = true
		case named[p.def.ID]:
			refuse(fmt.Errorf("%w: %q is named twice", registry.ErrDuplicateService, p.def.ID))
		default:
			named[p.def.ID] = true
			all = append(all, p)
		}
	}
	err := a.change(ctx, func(d *draft) error {
		for _, err := range d.replaceSource(o, all, held) {
			refuse(err)
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("source %s: %w", name, err)
	}
	return errors.Join(refused...)
}

// Services implements registry.Agent. What the definitions refer to is shared and
// must not be modified.
func (a *Agent) Services() []registry.AgentService {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]registry.AgentService, 0, len(s.services))
	for _, id := range slices.Sorted(maps.Keys(s.services)) {
		sv := s.services[id]
		all = append(all, registry.AgentService{
			Definition: sv.definition(s.checkLocked), Warnings: sv.warnings, FromFile: sv.owner.origin == fromFile,
		})
	}
	return all
}

// Checks implements registry.Agent, with the newest output of each check. What the
// definitions refer to is shared and must not be modified.
func (a *Agent) Checks() []registry.AgentCheck {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]registry.AgentCheck, 0, len(s.checks))
	for _, id := range slices.Sorted(maps.Keys(s.checks)) {
		c := s.checks[id]
		all = append(all, registry.AgentCheck{Definition: c.def, Check: s.recordLocked(c, a.cfg.Node.Name)})
	}
	return all
}
