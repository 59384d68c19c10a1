package agent

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"herald/agent/check"
	"herald/registry"
	"herald/registry/catalog"
)

// isLocal reports whether an alias check's node is this one.
func (s *state) isLocal(node string) bool {
	return node == "" || strings.EqualFold(node, s.node.Name) || node == s.node.ID
}

// aliased is whose checks here an alias check follows: a service's, or with "" the
// node's own. local is false of any other check.
func (s *state) aliased(c *healthCheck) (target string, local bool) {
	if c == nil || c.def.Kind != check.Alias {
		return "", false
	}
	service, node := check.Aliased(&c.def)
	return service, s.isLocal(node)
}

// indexAliasLocked keeps aliases true when next takes old's place; either may be nil.
func (s *state) indexAliasLocked(old, next *healthCheck) {
	if target, local := s.aliased(old); local {
		delete(s.aliases[target], old.def.ID)
		if len(s.aliases[target]) == 0 {
			delete(s.aliases, target)
		}
	}
	if target, local := s.aliased(next); local {
		if s.aliases[target] == nil {
			s.aliases[target] = map[string]bool{}
		}
		s.aliases[target][next.def.ID] = true
	}
}

// followLocked brings the alias checks in line that follow any of targets, and those that
// follow these. What it changes is pending, for a caller that wakes.
func (s *state) followLocked(now time.Time, targets ...string) {
	if len(s.aliases) == 0 {
		return
	}
	done := map[string]bool{}
	for ; len(targets) > 0; targets = targets[1:] {
		target := targets[0]
		if done[target] || len(s.aliases[target]) == 0 {
			continue
		}
		done[target] = true
		status, output := s.standingLocked(target, map[string]bool{})
		for _, id := range slices.Sorted(maps.Keys(s.aliases[target])) {
			c := s.checks[id]
			if c.run.status == status && c.run.output == output {
				continue
			}
			c.run.shown = output // a reason comes with a change that is advertised anyway: it is not held back
			s.pending.check(&c.def)
			s.setOneLocked(&c.def, c.run, status, output, now)
			targets = append(targets, c.def.ServiceID)
		}
	}
}

// standingLocked is the worst status among a service's checks, or with "" among the node's own, and
// which check is to blame. In place of an alias check here it looks at what that follows, each
// once: services that follow each other in a circle stand as their other checks do, and do not
// keep each other critical for ever. What is not there is critical.
func (s *state) standingLocked(target string, seen map[string]bool) (registry.HealthStatus, string) {
	seen[target] = true
	if target != "" && s.services[target] == nil {
		return registry.Critical, fmt.Sprintf("this agent has no service with the id %q", target)
	}
	worst, why := registry.Passing, fmt.Sprintf("no check of %s is failing", whose(target))
	for _, id := range s.checksOf[target] {
		c := s.checks[id]
		status, reason := c.run.status, blame(id, target, c.run.status)
		if next, local := s.aliased(c); local {
			if seen[next] {
				continue
			}
			status, reason = s.standingLocked(next, seen)
		}
		if w := worst.Worse(status); w != worst {
			worst, why = w, reason
		}
	}
	return worst, why
}

func blame(checkID, serviceID string, status registry.HealthStatus) string {
	return fmt.Sprintf("check %q of %s is %s", checkID, whose(serviceID), status)
}

// followRemote keeps an alias check in line with what the catalog has of a service on another node, or
// with service "" of that node itself, until ctx ends. While the servers cannot be asked it stays as it is for
// as long as the agent's lease would last without them, and is critical from then on.
func (a *Agent) followRemote(ctx context.Context, def *registry.CheckDefinition, r *run, node, service string) {
	ctx = registry.WithCaller(ctx, registry.Caller{Identity: a.identity(), Reason: registry.ReasonAgent})
	retry := backoff{min: 100 * time.Millisecond, max: heldEvery}
	heard, index := time.Now(), uint64(0)
	for ctx.Err() == nil {
		records, at, err := a.nodeAfter(ctx, node, index)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			index = 0 // what was missed shows at once
			if time.Since(heard) >= a.cfg.LeaseTTL {
				a.noteAlias(def, r, registry.Critical, fmt.Sprintf("the servers cannot be asked for node %q: %v", node, err))
			}
			sleep(ctx, retry.next())
			continue
		}
		retry.reset()
		heard = time.Now()
		if at != index || at == 0 {
			status, output := standing(records, node, service)
			a.noteAlias(def, r, status, output)
		}
		if at == 0 && !sleep(ctx, retry.next()) { // by which nothing can be waited for
			return
		}
		index = at
	}
}

func (a *Agent) nodeAfter(ctx context.Context, node string, index uint64) (catalog.NodeRecords, uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, aliasWait+aliasWait/16+heldTimeout) // a sixteenth is what a server may add
	defer cancel()
	return a.up.NodeAfter(ctx, node, index, aliasWait)
}

func (a *Agent) noteAlias(def *registry.CheckDefinition, r *run, status registry.HealthStatus, output string) {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	output = check.Cut(output, def.OutputMaxSize)
	if r.ended || status == r.status && output == r.output {
		return
	}
	r.shown = output
	s.generation++
	s.pending.check(def)
	s.setLocked(def, r, status, output, time.Now())
	a.wakeAdvertise()
}

// standing is the worst status among the checks of a service on another node and that node's own, which are
// what queries of its health count, and which check is to blame.
func standing(records catalog.NodeRecords, node, service string) (registry.HealthStatus, string) {
	has := func(i registry.Instance) bool { return i.ID == service }
	switch {
	case records.Node.Name == "":
		return registry.Critical, fmt.Sprintf("the catalog has no node %q", node)
	case service != "" && !slices.ContainsFunc(records.Instances, has):
		return registry.Critical, fmt.Sprintf("node %q has no service with the id %q", node, service)
	}
	worst, why := registry.Passing, fmt.Sprintf("no check of %s on node %q is failing", whose(service), node)
	if service == "" {
		why = fmt.Sprintf("no check of node %q is failing", node)
	}
	for _, c := range records.Checks {
		if c.ServiceID != "" && c.ServiceID != service {
			continue
		}
		if w := worst.Worse(c.Status); w != worst {
			worst, why = w, fmt.Sprintf("%s on node %q", blame(c.ID, c.ServiceID, c.Status), node)
		}
	}
	return worst, why
}
