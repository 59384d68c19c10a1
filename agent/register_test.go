package agent

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

func ttlDef(id string, status registry.HealthStatus) registry.CheckDefinition {
	return registry.CheckDefinition{ID: id, Kind: "ttl", TTL: time.Minute, Status: status}
}

// checkList is the agent's checks as "id(service)=status".
func checkList(a *Agent) string {
	var all []string
	for _, c := range a.Checks() {
		all = append(all, fmt.Sprintf("%s(%s)=%s", c.Check.ID, c.Check.ServiceID, c.Check.Status))
	}
	return strings.Join(all, " ")
}

func partList(a *Agent, id string) string {
	for _, s := range a.Services() {
		if s.Definition.ID == id {
			var all []string
			for _, c := range s.Definition.Checks {
				all = append(all, c.ID)
			}
			return strings.Join(all, " ")
		}
	}
	return "no such service"
}

func TestDefaults(t *testing.T) {
	a := newAgent(t, config(), newFake(), newScripted().kinds())
	register(t, a, registry.ServiceDefinition{Name: "web", Checks: []registry.CheckDefinition{scriptedDef("", "x")}})
	register(t, a, registry.ServiceDefinition{Name: "db", ID: "db1", Checks: []registry.CheckDefinition{
		ttlDef("", registry.Passing), {Name: "second", Kind: "ttl", TTL: time.Minute, Status: registry.Warning}, ttlDef("own", ""),
	}})
	for _, d := range []registry.CheckDefinition{
		{Name: "disk space", Kind: "ttl", TTL: time.Minute},
		{ServiceID: "db1", Kind: "ttl", TTL: time.Minute},
		{ID: "x", Kind: "exec", Interval: time.Second, Spec: map[string]any{"shell": "true"}},
	} {
		err := a.RegisterCheck(t.Context(), d)
		if d.Kind == "exec" {
			wantErr(t, "an exec check over the API", err, registry.ErrExecDisabled, `"x"`)
		} else if err != nil {
			t.Errorf("RegisterCheck(%+v): %v", d, err)
		}
	}
	want := "disk space()=critical own(db1)=critical service:db1(db1)=critical service:db1:1(db1)=passing service:db1:2(db1)=warning service:web(web)=critical"
	if got := checkList(a); got != want {
		t.Errorf("checks are\n%s, want\n%s", got, want)
	}
	names := map[string]string{}
	for _, c := range a.Checks() {
		names[c.Check.ID] = c.Check.Name + "/" + c.Check.ServiceName
		if c.Check.Kind == "scripted" && c.Check.Timeout != 10*time.Second {
			t.Errorf("timeout is %v, want 10s", c.Check.Timeout)
		}
	}
	for id, want := range map[string]string{
		"service:web": "Service 'web' check/web", "service:db1:2": "second/db", "own": "Service 'db' check/db",
		"disk space": "disk space/", "service:db1": "Service 'db' check/db",
	} {
		if names[id] != want {
			t.Errorf("check %s is named %q, want %q", id, names[id], want)
		}
	}
	s := a.Services()[1]
	if s.Definition.ID != "web" || s.Definition.Weights == nil || *s.Definition.Weights != registry.DefaultWeights() || s.FromFile {
		t.Errorf("service is %+v", s)
	}
	if a.Node().Name != node.Name {
		t.Errorf("node is %+v", a.Node())
	}
}

func TestReplacingAService(t *testing.T) {
	a := newAgent(t, config(), newFake(), newScripted().kinds())
	web := func(port int, checks ...registry.CheckDefinition) registry.ServiceDefinition {
		return registry.ServiceDefinition{Name: "web", Port: port, Checks: checks}
	}
	steps := []struct {
		what    string
		do      func() error
		parts   string
		checks  string
		changes bool
	}{
		{"first", func() error {
			_, err := a.RegisterService(t.Context(), web(1, ttlDef("a", registry.Passing), ttlDef("b", "")), false)
			return err
		},
			"a b", "a(web)=passing b(web)=critical", true},
		{"the same again", func() error {
			_, err := a.RegisterService(t.Context(), web(1, ttlDef("a", registry.Passing), ttlDef("b", "")), false)
			return err
		},
			"a b", "a(web)=passing b(web)=critical", false},
		{"a check by itself", func() error {
			d := ttlDef("c", registry.Warning)
			d.ServiceID = "web"
			return a.RegisterCheck(t.Context(), d)
		}, "a b", "a(web)=passing b(web)=critical c(web)=warning", true},
		{"b is reported", func() error { return a.UpdateTTL(t.Context(), "b", registry.Passing, "up") },
			"a b", "a(web)=passing b(web)=passing c(web)=warning", true},
		{"without its checks: they are kept, as they stand", func() error { _, err := a.RegisterService(t.Context(), web(2), false); return err },
			"a b", "a(web)=passing b(web)=passing c(web)=warning", true},
		{"other settings of b: it stands as it stood", func() error {
			d := ttlDef("b", "")
			d.TTL = time.Hour
			_, err := a.RegisterService(t.Context(), web(2, d), false)
			return err
		}, "b a", "a(web)=passing b(web)=passing c(web)=warning", true},
		{"an explicit status that differs", func() error {
			_, err := a.RegisterService(t.Context(), web(2, ttlDef("a", registry.Warning)), false)
			return err
		},
			"a b", "a(web)=warning b(web)=passing c(web)=warning", true},
		{"b by itself: no longer of the definition", func() error {
			d := ttlDef("b", "")
			d.ServiceID = "web"
			return a.RegisterCheck(t.Context(), d)
		}, "a", "a(web)=warning b(web)=passing c(web)=warning", true},
		{"maintenance", func() error { return a.SetServiceMaintenance(t.Context(), "web", true, "moving") },
			"a", "_service_maintenance:web(web)=critical a(web)=warning b(web)=passing c(web)=warning", true},
		{"replacing the checks", func() error { _, err := a.RegisterService(t.Context(), web(2, ttlDef("d", "")), true); return err },
			"d", "_service_maintenance:web(web)=critical d(web)=critical", true},
		{"a check goes", func() error { return a.DeregisterCheck(t.Context(), "d") },
			"", "_service_maintenance:web(web)=critical", true},
		{"maintenance ends", func() error { return a.DeregisterCheck(t.Context(), "_service_maintenance:web") }, "", "", true},
		{"a node's check", func() error {
			return a.RegisterCheck(t.Context(), registry.CheckDefinition{Name: "n", Kind: "ttl", TTL: time.Second})
		},
			"", "n()=critical", true},
		{"the service goes", func() error { return a.DeregisterService(t.Context(), "web") }, "no such service", "n()=critical", true},
	}
	for _, st := range steps {
		before := a.state.generation
		if err := st.do(); err != nil {
			t.Fatalf("%s: %v", st.what, err)
		}
		if got := partList(a, "web"); got != st.parts {
			t.Errorf("%s: the definition has checks %q, want %q", st.what, got, st.parts)
		}
		if got := checkList(a); got != st.checks {
			t.Errorf("%s: checks are %q, want %q", st.what, got, st.checks)
		}
		if changed := a.state.generation != before; changed != st.changes {
			t.Errorf("%s: something to advertise: %v, want %v", st.what, changed, st.changes)
		}
	}
}

func TestRefusals(t *testing.T) {
	cfg := config()
	cfg.Services = []registry.ServiceDefinition{{Name: "herald", Port: 1, Checks: []registry.CheckDefinition{ttlDef("own", registry.Passing)}}}
	a := newAgent(t, cfg, newFake(), newScripted().kinds())
	register(t, a, registry.ServiceDefinition{Name: "web", Checks: []registry.CheckDefinition{ttlDef("taken", "")}})
	type def = registry.CheckDefinition
	service := func(change func(*registry.ServiceDefinition)) func() error {
		return func() error {
			d := registry.ServiceDefinition{Name: "x", ID: "x1"}
			change(&d)
			_, err := a.RegisterService(t.Context(), d, false)
			return err
		}
	}
	checked := func(d def) func() error { return func() error { return a.RegisterCheck(t.Context(), d) } }
	with := func(d def, change func(*def)) def { change(&d); return d }
	tests := []struct {
		name string
		do   func() error
		want error
		says []string
	}{
		{"no name", service(func(d *registry.ServiceDefinition) { d.Name = "" }), registry.ErrInvalidDefinition, []string{"no name"}},
		{"NUL in the id", service(func(d *registry.ServiceDefinition) { d.ID = "a\x00b" }), registry.ErrInvalidDefinition, []string{"NUL"}},
		{"port", service(func(d *registry.ServiceDefinition) { d.Port = 70000 }), registry.ErrInvalidDefinition, []string{"x1", "70000"}},
		{"weights", service(func(d *registry.ServiceDefinition) { d.Weights = &registry.Weights{Warning: 1} }), registry.ErrInvalidDefinition, []string{"passing is 0"}},
		{"every address", service(func(d *registry.ServiceDefinition) { d.Address = "0.0.0.0" }), registry.ErrInvalidDefinition, []string{"0.0.0.0"}},
		{"two checks of one id", service(func(d *registry.ServiceDefinition) { d.Checks = []def{ttlDef("c", ""), ttlDef("c", "")} }), registry.ErrInvalidDefinition, []string{`two checks have the id "c"`}},
		{"a check of another service", service(func(d *registry.ServiceDefinition) {
			d.Checks = []def{with(ttlDef("c", ""), func(d *def) { d.ServiceID = "web" })}
		}), registry.ErrInvalidDefinition, []string{`"web"`}},
		{"a check id that is taken", service(func(d *registry.ServiceDefinition) { d.Checks = []def{ttlDef("taken", "")} }), registry.ErrInvalidDefinition, []string{"taken", `service "web"`}},
		{"a bad check", service(func(d *registry.ServiceDefinition) {
			d.Checks = []def{scriptedDef("c", "x"), {Kind: "scripted", Interval: 1}}
		}), registry.ErrInvalidDefinition, []string{"say is missing"}},
		{"exec", service(func(d *registry.ServiceDefinition) {
			d.Checks = []def{{Kind: "exec", Interval: time.Second, Spec: map[string]any{"shell": "true"}}}
		}), registry.ErrExecDisabled, []string{"service:x1"}},
		{"the agent's own", service(func(d *registry.ServiceDefinition) { d.ID = "herald" }), registry.ErrDuplicateService, []string{"the agent itself"}},
		{"withdrawing the agent's own", func() error { return a.DeregisterService(t.Context(), "herald") }, registry.ErrInvalid, []string{"herald"}},
		{"withdrawing its check", func() error { return a.DeregisterCheck(t.Context(), "own") }, registry.ErrInvalid, []string{"own"}},
		{"replacing its check", checked(with(ttlDef("own", ""), func(d *def) { d.ServiceID = "herald" })), registry.ErrInvalidDefinition, []string{"the agent itself"}},
		{"check without a name", checked(def{Kind: "ttl", TTL: time.Second}), registry.ErrInvalidDefinition, []string{"neither a name nor an id"}},
		{"check of no service", checked(def{Name: "c", ServiceID: "no", Kind: "ttl", TTL: time.Second}), registry.ErrServiceNotFound, []string{`"no"`}},
		{"check of another owner", checked(ttlDef("taken", "")), registry.ErrInvalidDefinition, []string{`service "web"`}},
		{"reserved id", checked(ttlDef("serfHealth", "")), registry.ErrInvalidDefinition, []string{"reserved"}},
		{"reserved id of maintenance", checked(ttlDef("_service_maintenance:web", "")), registry.ErrInvalidDefinition, []string{"reserved"}},
		{"unknown kind", checked(def{Name: "c", Kind: "grpc", Interval: time.Second}), registry.ErrInvalidDefinition, []string{`"grpc"`, "exec, http, scripted, tcp, ttl"}},
		{"no kind", checked(def{Name: "c"}), registry.ErrInvalidDefinition, []string{"no kind"}},
		{"kind maintenance", checked(def{Name: "c", Kind: "maintenance", Interval: time.Second}), registry.ErrInvalidDefinition, []string{"not known"}},
		{"no interval", checked(with(scriptedDef("c", "x"), func(d *def) { d.Interval = 0 })), registry.ErrInvalidDefinition, []string{"interval"}},
		{"ttl and interval", checked(with(ttlDef("c", ""), func(d *def) { d.Interval = 1 })), registry.ErrInvalidDefinition, []string{"not for a ttl check"}},
		{"ttl of another kind", checked(with(scriptedDef("c", "x"), func(d *def) { d.TTL = 1 })), registry.ErrInvalidDefinition, []string{"ttl is not for"}},
		{"ttl without ttl", checked(def{Name: "c", Kind: "ttl"}), registry.ErrInvalidDefinition, []string{"ttl must be above 0"}},
		{"unknown status", checked(ttlDef("c", "fine")), registry.ErrInvalidDefinition, []string{`"fine"`}},
		{"below 0", checked(with(scriptedDef("c", "x"), func(d *def) { d.Timeout = -1 })), registry.ErrInvalidDefinition, []string{"below 0"}},
		{"thresholds", checked(with(scriptedDef("c", "x"), func(d *def) { d.FailuresBeforeWarning, d.FailuresBeforeCritical = 3, 2 })), registry.ErrInvalidDefinition, []string{"failures_before_warning (3)"}},
		{"reaping without a service", checked(with(scriptedDef("c", "x"), func(d *def) { d.DeregisterAfter = time.Hour })), registry.ErrInvalidDefinition, []string{"belongs to none"}},
		{"unknown service", func() error { return a.DeregisterService(t.Context(), "no") }, registry.ErrServiceNotFound, []string{`"no"`}},
		{"unknown check", func() error { return a.DeregisterCheck(t.Context(), "no") }, registry.ErrCheckNotFound, []string{`"no"`}},
		{"maintenance of an unknown service", func() error { return a.SetServiceMaintenance(t.Context(), "no", true, "") }, registry.ErrServiceNotFound, []string{`"no"`}},
		{"report to an unknown check", func() error { return a.UpdateTTL(t.Context(), "no", registry.Passing, "") }, registry.ErrCheckNotFound, []string{`"no"`}},
		{"report of an unknown status", func() error { return a.UpdateTTL(t.Context(), "taken", "fine", "") }, registry.ErrInvalidDefinition, []string{`"fine"`}},
	}
	services, checks, generation := fmt.Sprint(a.Services()), checkList(a), a.state.generation
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantErr(t, tt.name, tt.do(), tt.want, tt.says...)
			if fmt.Sprint(a.Services()) != services || checkList(a) != checks || a.state.generation != generation {
				t.Errorf("it changed something: services %v, checks %s", a.Services(), checkList(a))
			}
		})
	}
}

func TestNotATTLCheck(t *testing.T) {
	a := newAgent(t, config(), newFake(), newScripted().kinds())
	if err := a.RegisterCheck(t.Context(), scriptedDef("c", "x")); err != nil {
		t.Fatal(err)
	}
	wantErr(t, "a report to a check that is run", a.UpdateTTL(t.Context(), "c", registry.Passing, ""), registry.ErrNotTTLCheck, `"c"`, "scripted")
}

func TestWarnings(t *testing.T) {
	a := newAgent(t, config(), newFake(), newScripted().kinds())
	fast := scriptedDef("fast", "x")
	fast.Interval, fast.DeregisterAfter = time.Millisecond, time.Second
	warnings, err := a.RegisterService(t.Context(), registry.ServiceDefinition{
		Name: "web_1", Tags: []string{"ok", "a.b", "c=d"}, Checks: []registry.CheckDefinition{fast},
	}, false)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{`"web_1" cannot be looked up by DNS`, `"a.b", "c=d"`, "after 1m0s, not 1s", "every 100ms, not every 1ms"}
	if len(warnings) != len(want) {
		t.Fatalf("warnings are %q", warnings)
	}
	for i, w := range want {
		if !strings.Contains(warnings[i], w) {
			t.Errorf("warning %d is %q, want %q in it", i, warnings[i], w)
		}
	}
	s := a.Services()[0]
	if fmt.Sprint(s.Warnings) != fmt.Sprint(warnings) {
		t.Errorf("kept warnings are %q", s.Warnings)
	}
	if d := s.Definition.Checks[0]; d.Interval != minInterval || d.DeregisterAfter != reapAfterMin {
		t.Errorf("interval %v and deregister after %v", d.Interval, d.DeregisterAfter)
	}
}

// TestDefinitionsAreCopied changes what it registered afterwards.
func TestDefinitionsAreCopied(t *testing.T) {
	a := newAgent(t, config(), newFake(), newScripted().kinds())
	d := registry.ServiceDefinition{
		Name: "web", Tags: []string{"a"}, Meta: map[string]string{"k": "v"}, Weights: &registry.Weights{Passing: 2},
		TaggedAddresses: map[string]registry.ServiceAddress{"lan": {Port: 1}},
		Checks:          []registry.CheckDefinition{scriptedDef("c", "x")},
	}
	register(t, a, d)
	before := fmt.Sprintf("%+v %+v", a.Services()[0].Definition, *a.Services()[0].Definition.Weights)
	d.Tags[0], d.Meta["k"], d.Weights.Passing, d.TaggedAddresses["lan"] = "b", "w", 3, registry.ServiceAddress{}
	d.Checks[0].Spec["say"] = "y"
	if after := fmt.Sprintf("%+v %+v", a.Services()[0].Definition, *a.Services()[0].Definition.Weights); strings.ReplaceAll(after, "0x", "") != strings.ReplaceAll(before, "0x", "") {
		t.Errorf("the agent's copy changed:\n%s\n%s", before, after)
	}
}

func TestMaintenance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		up := newFake()
		a := newAgent(t, config(), up, newScripted().kinds())
		register(t, a, registry.ServiceDefinition{Name: "web"})
		start(t, a)
		for _, st := range []struct {
			do   func() error
			has  string
			note string
		}{
			{func() error { return a.SetServiceMaintenance(t.Context(), "web", true, "moving") }, "check _service_maintenance:web critical, service web", "moving"},
			{func() error { return a.SetServiceMaintenance(t.Context(), "web", true, "") }, "check _service_maintenance:web critical, service web", "moving"},
			{func() error { return a.SetServiceMaintenance(t.Context(), "web", true, "again") }, "check _service_maintenance:web critical, service web", "again"},
			{func() error { return a.SetServiceMaintenance(t.Context(), "web", false, "") }, "service web", ""},
			{func() error { return a.SetServiceMaintenance(t.Context(), "web", false, "") }, "service web", ""},
			{func() error { return a.SetNodeMaintenance(t.Context(), true, "") }, "check _node_maintenance critical, service web", noReason},
			{func() error { return a.SetNodeMaintenance(t.Context(), false, "") }, "service web", ""},
		} {
			if err := st.do(); err != nil {
				t.Fatal(err)
			}
			pass(time.Millisecond)
			if got := up.has(); got != st.has {
				t.Errorf("catalog has %q, want %q", got, st.has)
			}
			if cs := a.Checks(); len(cs) > 0 && (cs[0].Check.Notes != st.note || cs[0].Check.Kind != "maintenance" || cs[0].Check.Output != "") {
				t.Errorf("check is %+v, want notes %q", cs[0].Check, st.note)
			}
		}
	})
}

func TestSource(t *testing.T) {
	a := newAgent(t, config(), newFake(), newScripted().kinds())
	register(t, a, registry.ServiceDefinition{Name: "api"})
	set := func(names ...string) error {
		var defs []registry.ServiceDefinition
		for _, n := range names {
			defs = append(defs, registry.ServiceDefinition{Name: n})
		}
		return a.SetSource(t.Context(), "docker", defs)
	}
	list := func() string {
		var all []string
		for _, s := range a.Services() {
			all = append(all, s.Definition.ID)
		}
		return strings.Join(all, " ")
	}
	if err := set("b", "c"); err != nil || list() != "api b c" {
		t.Errorf("first: %v, services %s", err, list())
	}
	if err := set("c", "d"); err != nil || list() != "api c d" {
		t.Errorf("second: %v, services %s", err, list())
	}
	wantErr(t, "an id of the API's", set("x", "api", "d"), registry.ErrDuplicateService, "source docker", `"api"`, "the API")
	wantErr(t, "one id twice", set("x", "x"), registry.ErrDuplicateService, `"x"`)
	wantErr(t, "a bad one", set("x", ""), registry.ErrInvalidDefinition, "source docker")
	if err := set("d"); err != nil {
		t.Error(err)
	}
	wantErr(t, "another source's id", a.SetSource(t.Context(), "other", []registry.ServiceDefinition{{Name: "d"}}), registry.ErrDuplicateService, "source docker")
	if list() != "api d" {
		t.Errorf("what stood beside a refused definition is not all there is: %s", list())
	}
	if err := set(); err != nil || list() != "api" {
		t.Errorf("empty: %v, services %s", err, list())
	}
}
