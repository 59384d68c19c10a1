package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
)

// gathered makes changes that all wait for their turn at once, in their order. It
// returns their errors.
func gathered(a *Agent, all []func() error) []error {
	errs := make([]error, len(all))
	a.edit <- struct{}{}
	var waiting sync.WaitGroup
	for i, change := range all {
		waiting.Go(func() { errs[i] = change() })
		synctest.Wait()
	}
	<-a.edit
	waiting.Wait()
	return errs
}

// TestGathered has changes gather while one is under way, among them some that fail:
// each gets its own answer, and those that fail leave nothing.
func TestGathered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, keeping(t.TempDir()), newFake(), nil)
		defer a.Close()
		gone, cancel := context.WithCancel(t.Context())
		panicked := any(nil)
		web := func(id string, checks ...registry.CheckDefinition) func() error {
			return func() error {
				_, err := a.RegisterService(t.Context(), registry.ServiceDefinition{Name: "web", ID: id, Checks: checks}, false)
				return err
			}
		}
		errs := gathered(a, []func() error{
			web("1", ttlDef("c", registry.Passing)),
			web("2", ttlDef("c", registry.Passing)), // the first's check
			func() error {
				_, err := a.RegisterService(gone, registry.ServiceDefinition{Name: "late"}, false)
				return err
			},
			func() error { cancel(); return nil },
			func() error { return a.SetServiceMaintenance(t.Context(), "1", true, "just begun") },
			func() error {
				defer func() { panicked = recover() }()
				return a.change(t.Context(), func(d *draft) error { d.dropService("1"); panic("edit's own") })
			},
			func() error { return a.DeregisterService(t.Context(), "3") },
			web("3"),
			web("4", ttlDef("d", "")),
			func() error { return a.DeregisterService(t.Context(), "4") },
		})
		want := []error{nil, registry.ErrInvalidDefinition, context.Canceled, nil, nil, nil, registry.ErrServiceNotFound, nil, nil, nil}
		for i, err := range errs {
			if !errors.Is(err, want[i]) {
				t.Errorf("change %d: error is %v, want %v", i, err, want[i])
			}
		}
		if panicked != "edit's own" {
			t.Errorf("who asked for the change that panicked got %v", panicked)
		}
		services := ""
		for _, s := range a.Services() {
			services += s.Definition.ID + " "
		}
		if checks := checkList(a); services != "1 3 " || checks != "_service_maintenance:1(1)=critical c(1)=passing" {
			t.Errorf("services are %s, checks %s", services, checks)
		}
		if len(a.changes.waiting) != 0 {
			t.Errorf("%d changes wait yet", len(a.changes.waiting))
		}
	})
}

// TestGatheredMany has more changes wait than are made at once, and the agent stop
// before the last of them.
func TestGatheredMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgent(t, config(), newFake(), nil)
		defer a.Close()
		var all []func() error
		for i := range 2*batchChanges + 10 {
			all = append(all, func() error {
				_, err := a.RegisterService(t.Context(), registry.ServiceDefinition{Name: fmt.Sprint(i)}, false)
				return err
			})
		}
		all = append(all, func() error { a.Close(); return nil })
		stopped := 0
		for _, err := range gathered(a, all) {
			if errors.Is(err, registry.ErrStopped) {
				stopped++
			} else if err != nil {
				t.Error(err)
			}
		}
		if n := len(a.Services()); n+stopped != len(all)-1 {
			t.Errorf("%d are registered and %d were told that the agent had stopped, of %d", n, stopped, len(all)-1)
		}
		_, err := a.RegisterService(t.Context(), registry.ServiceDefinition{Name: "web"}, false)
		wantErr(t, "after the end", err, registry.ErrStopped)
	})
}

// TestGatheredIsOneByOne makes the same changes gathered and one by one, and ends with
// the same in memory and on disk.
func TestGatheredIsOneByOne(t *testing.T) {
	top, next, ctx := t.TempDir(), 0, context.Background()
	rapid.Check(t, func(r *rapid.T) {
		next++
		ids, checks := rapid.SampledFrom([]string{"a", "b"}), rapid.SampledFrom([]string{"c1", "c2", "c3"})
		ttl := rapid.SampledFrom([]time.Duration{time.Minute, time.Hour})
		status := rapid.SampledFrom([]registry.HealthStatus{"", registry.Passing, registry.Warning})
		type step func(a *Agent) error
		draw := func(i int) step {
			id, checkID := ids.Draw(r, "service"), checks.Draw(r, "check")
			def := registry.CheckDefinition{ID: checkID, Kind: "ttl", TTL: ttl.Draw(r, "ttl"), Status: status.Draw(r, "status")}
			yes := rapid.Bool().Draw(r, "yes")
			switch rapid.IntRange(0, 7).Draw(r, fmt.Sprintf("step %d", i)) {
			case 0:
				return func(a *Agent) error { return a.DeregisterService(ctx, id) }
			case 1:
				return func(a *Agent) error { return a.DeregisterCheck(ctx, checkID) }
			case 2:
				def.ServiceID = id
				return func(a *Agent) error { return a.RegisterCheck(ctx, def) }
			case 3:
				return func(a *Agent) error { return a.RegisterCheck(ctx, def) }
			case 4:
				return func(a *Agent) error { return a.SetServiceMaintenance(ctx, id, yes, checkID) }
			case 5:
				defs := []registry.ServiceDefinition{{Name: id, ID: "s-" + id, Checks: []registry.CheckDefinition{def}}}
				return func(a *Agent) error { return a.SetSource(ctx, "source", defs) }
			default:
				d := registry.ServiceDefinition{Name: "web", ID: id, Port: int(def.TTL.Minutes()), Checks: []registry.CheckDefinition{def}}
				return func(a *Agent) error { _, err := a.RegisterService(ctx, d, yes); return err }
			}
		}
		var steps []step
		for i := range rapid.IntRange(1, 12).Draw(r, "steps") {
			steps = append(steps, draw(i))
		}
		synctest.Test(t, func(t *testing.T) {
			dirs := [2]string{fmt.Sprintf("%s/%d-gathered", top, next), fmt.Sprintf("%s/%d-one", top, next)}
			together, apart := newAgent(t, keeping(dirs[0]), newFake(), nil), newAgent(t, keeping(dirs[1]), newFake(), nil)
			var all []func() error
			for _, s := range steps {
				all = append(all, func() error { return s(together) })
			}
			errs := gathered(together, all)
			for i, s := range steps {
				if err := s(apart); fmt.Sprint(err) != fmt.Sprint(errs[i]) {
					r.Errorf("step %d: gathered %v, by itself %v", i, errs[i], err)
				}
			}
			same := func(when string) {
				if x, y := together.Services(), apart.Services(); !reflect.DeepEqual(x, y) {
					r.Errorf("%s: gathered, the services are\n%+v\none by one\n%+v", when, x, y)
				}
				if x, y := together.Checks(), apart.Checks(); !reflect.DeepEqual(x, y) {
					r.Errorf("%s: gathered, the checks are\n%+v\none by one\n%+v", when, x, y)
				}
				if x, y := together.state.checksOf, apart.state.checksOf; !reflect.DeepEqual(x, y) {
					r.Errorf("%s: gathered, the index is\n%v\none by one\n%v", when, x, y)
				}
			}
			same("at once")
			together.Close()
			apart.Close()
			together, apart = newAgent(t, keeping(dirs[0]), newFake(), nil), newAgent(t, keeping(dirs[1]), newFake(), nil)
			same("after a restart")
			together.Close()
			apart.Close()
			for _, dir := range dirs {
				if err := os.RemoveAll(dir); err != nil {
					r.Error(err)
				}
			}
		})
	})
}
