package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"herald/agent/check"
	"herald/agent/durable"
	"herald/registry"
)

// ttlRefresh is how often reports that change no status are written to disk.
const ttlRefresh = time.Minute

// keptTTL is how a ttl check stood.
type keptTTL struct {
	Status   registry.HealthStatus `json:"status"`
	Output   string                `json:"output,omitempty"`
	Reported time.Time             `json:"reported"`
}

// keptLease is the lease of a run that did not end in an orderly way.
type keptLease struct {
	ID   registry.LeaseID `json:"id"`
	TTL  time.Duration    `json:"ttl"`
	Node string           `json:"node"`
}

// Records are under the id of what they define, after its kind.
const (
	servicePrefix = "service/"
	checkPrefix   = "check/"
)

func serviceKey(id string) string { return servicePrefix + id }
func checkKey(id string) string   { return checkPrefix + id }

// records is what a change makes of what is kept: the API's services, and the checks
// that the API registered by themselves.
func (d *disk) records(next *draft) (ops []durable.Op, err error) {
	if d == nil {
		return nil, nil
	}
	put := func(key string, record any) error {
		value, err := json.Marshal(record)
		if err != nil {
			return fmt.Errorf("%s cannot be kept: %w", key, err)
		}
		ops = append(ops, durable.Op{Key: key, Value: value})
		return nil
	}
	for id, now := range next.services {
		old := next.base.service(id)
		switch {
		case now != nil && now.owner.origin == fromAPI:
			err = put(serviceKey(id), now.definition(next.check))
		case old != nil && old.owner.origin == fromAPI:
			ops = append(ops, durable.Op{Key: serviceKey(id)})
		}
		if err != nil {
			return nil, err
		}
	}
	for id, now := range next.checks {
		switch {
		case now.isAPIsOwn():
			err = put(checkKey(id), now.def)
		case next.base.check(id).isAPIsOwn():
			ops = append(ops, durable.Op{Key: checkKey(id)})
		}
		if err != nil {
			return nil, err
		}
	}
	return ops, nil
}

// keep makes changes of what is kept, all of them or none.
func (d *disk) keep(changes [][]durable.Op) error {
	if d == nil || len(changes) == 0 {
		return nil
	}
	return d.registrations.Append(changes)
}

// isAPIsOwn reports whether c was registered over the API by itself.
func (c *healthCheck) isAPIsOwn() bool { return c != nil && c.owner.origin == fromAPI && !c.part }

// loadKept adds to a draft what the API had registered. What files or the process
// define by now is forgotten. What can no longer be run stays on disk, for a
// start that can.
func (a *Agent) loadKept(d *draft) error {
	kept := a.disk.kept
	a.disk.kept = nil
	var forgotten [][]durable.Op
	load := func(key string, err error) {
		switch {
		case errors.Is(err, errSuperseded):
			a.log.Warn("a kept registration is forgotten", "registration", key, "reason", err)
			forgotten = append(forgotten, []durable.Op{{Key: key}})
		case err != nil:
			a.log.Error("a kept registration cannot be used; it stays on disk", "registration", key, "error", err)
		}
	}
	keys := slices.Sorted(maps.Keys(kept))
	for _, key := range keys {
		if strings.HasPrefix(key, servicePrefix) {
			var def registry.ServiceDefinition
			err := decode(kept[key], &def)
			if err == nil {
				err = a.loadService(d, def)
			}
			load(key, err)
		}
	}
	for _, key := range keys { // after the services that they may be of
		switch {
		case strings.HasPrefix(key, checkPrefix):
			var def registry.CheckDefinition
			err := decode(kept[key], &def)
			if err == nil {
				err = a.loadCheck(d, def)
			}
			load(key, err)
		case !strings.HasPrefix(key, servicePrefix):
			load(key, fmt.Errorf("%w: it is neither a service nor a check", registry.ErrCorrupt))
		}
	}
	return a.disk.keep(forgotten)
}

// errSuperseded is returned for a kept registration that means nothing any more.
var errSuperseded = errors.New("no longer wanted")

func (a *Agent) loadService(d *draft, def registry.ServiceDefinition) error {
	if have := d.service(def.ID); have != nil {
		return fmt.Errorf("%w: service %q is defined by %s", errSuperseded, def.ID, have.owner)
	}
	api := owner{origin: fromAPI}
	p, err := a.prepareService(def, api)
	if err != nil {
		return err
	}
	for _, c := range p.checks {
		if have := d.check(c.def.ID); have != nil {
			return fmt.Errorf("service %q: %w", def.ID, invalid("check id %q belongs to %s", c.def.ID, whose(have.def.ServiceID)))
		}
	}
	return d.putService(p, api, keepChecks)
}

func (a *Agent) loadCheck(d *draft, def registry.CheckDefinition) error {
	if have := d.check(def.ID); have != nil {
		return fmt.Errorf("%w: check %q is defined by %s", errSuperseded, def.ID, have.owner)
	}
	if def.ServiceID != "" && d.service(def.ServiceID) == nil {
		return fmt.Errorf("%w: check %q is of service %q, which is gone", errSuperseded, def.ID, def.ServiceID)
	}
	api := owner{origin: fromAPI}
	if def.Kind == kindMaintenance && (def.ID == nodeMaintenanceID || strings.HasPrefix(def.ID, serviceMaintenancePrefix)) {
		return d.putCheck(preparedCheck{def: def}, api, false)
	}
	p, _, err := a.prepareLoneCheck(def, api, d.service)
	if err != nil {
		return err
	}
	return d.putLoneCheck(p, api)
}

// restoreTTL takes up how ttl checks stood, and gives each a whole TTL for its next
// report: while the agent was down, nobody could report. One that had not been
// reported for long by then expired meanwhile. state.mu is held.
func (a *Agent) restoreTTL(now time.Time) error {
	kept := map[string]keptTTL{}
	if _, err := a.disk.read(ttlFile, &kept); err != nil {
		return err
	}
	for id, k := range kept {
		c := a.state.checks[id]
		if c == nil || c.def.Kind != check.TTL || !k.Status.Valid() {
			continue
		}
		r := c.run
		r.status, r.output, r.reported = k.Status, k.Output, k.Reported
		if k.Status != registry.Critical && now.Sub(k.Reported) > c.def.TTL+ttlRefresh {
			r.status, r.output = registry.Critical, expiredOutput(c.def.TTL, r)
		}
		r.criticalSince = time.Time{}
		if r.status == registry.Critical {
			r.criticalSince = now
		}
		r.shown = r.output
	}
	return nil
}

// keptLease is the lease to take up again, 0 if there is none. One with another
// TTL, or of another node, is left to run out: nothing will hang from it.
func (d *disk) keptLease(node string, ttl time.Duration) (registry.LeaseID, error) {
	var k keptLease
	if _, err := d.read(leaseFile, &k); err != nil {
		return 0, err
	}
	if k.Node != node || k.TTL != ttl {
		return 0, nil
	}
	return k.ID, nil
}

// saver is what is to be written to disk in the background: by a goroutine of its
// own, so that a disk that hangs holds up neither a report nor the lease.
type saver struct {
	wake       chan struct{}
	lease      atomic.Int64
	ttlChanged atomic.Bool
	refreshed  atomic.Bool
}

func (s *saver) leaseHeld(id registry.LeaseID) {
	if s.lease.Swap(int64(id)) != int64(id) {
		s.poke()
	}
}

func (s *saver) ttlReported(changed bool) {
	s.refreshed.Store(true)
	if changed {
		s.ttlChanged.Store(true)
		s.poke()
	}
}

func (s *saver) poke() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// save writes what changed until ctx ends: statuses soon, mere reports every
// ttlRefresh.
func (a *Agent) save(ctx context.Context) {
	if a.disk == nil {
		return
	}
	refresh := time.NewTicker(ttlRefresh)
	defer refresh.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-a.saver.wake:
		case <-refresh.C:
			if a.saver.refreshed.Load() {
				a.saver.ttlChanged.Store(true)
			}
		}
		a.saveNow()
	}
}

// saveNow writes what changed. A failure is logged, and tried again with the next
// change or refresh: registrations are not among it.
func (a *Agent) saveNow() {
	if a.disk == nil {
		return
	}
	if id := registry.LeaseID(a.saver.lease.Load()); id != a.disk.leaseWritten {
		err := a.disk.write(leaseFile, keptLease{ID: id, TTL: a.cfg.LeaseTTL, Node: a.cfg.Node.Name})
		if err != nil {
			a.log.Error("the lease's id cannot be kept", "error", err)
		} else {
			a.disk.leaseWritten = id
		}
	}
	if !a.saver.ttlChanged.Swap(false) {
		return
	}
	a.saver.refreshed.Store(false)
	if err := a.disk.write(ttlFile, a.ttlStates()); err != nil {
		a.log.Error("the state of ttl checks cannot be kept", "error", err)
		a.saver.refreshed.Store(true)
	}
}

func (a *Agent) ttlStates() map[string]keptTTL {
	s := &a.state
	s.mu.Lock()
	defer s.mu.Unlock()
	kept := map[string]keptTTL{}
	for id, c := range s.checks {
		if c.def.Kind == check.TTL && !c.run.reported.IsZero() {
			kept[id] = keptTTL{Status: c.run.status, Output: c.run.output, Reported: c.run.reported.Round(0).UTC()}
		}
	}
	return kept
}
