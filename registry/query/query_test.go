package query

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/storetest"
)

func TestValidate(t *testing.T) {
	ok := func(change func(*Definition)) Definition {
		d := Definition{Name: "n", Service: Service{Service: "web"}}
		change(&d)
		return d
	}
	for name, c := range map[string]struct {
		d    Definition
		want string // "" is valid
	}{
		"plain":             {ok(func(*Definition) {}), ""},
		"a session alone":   {ok(func(d *Definition) { d.Name, d.Session = "", "s" }), ""},
		"nothing to ask by": {ok(func(d *Definition) { d.Name = "" }), "Must have a Name"},
		"no service":        {ok(func(d *Definition) { d.Service.Service = "" }), "Must provide a Service name to query"},
		"like an id":        {ok(func(d *Definition) { d.Name = "0f9a8c1e-6b6e-4c0e-9d51-0000000000ff" }), "form of a query's ID"},
		"a slash":           {ok(func(d *Definition) { d.Name = "a/execute" }), "slash"},
		"a long name":       {ok(func(d *Definition) { d.Name = strings.Repeat("n", catalog.MaxNameBytes+1) }), "bytes"},
		"connect":           {ok(func(d *Definition) { d.Service.Connect = true }), "Connect"},
		"a namespace":       {ok(func(d *Definition) { d.Service.Namespace = "n" }), "namespace"},
		"failover":          {ok(func(d *Definition) { d.Service.Failover = Failover{NearestN: 2, Datacenters: []string{"dc2"}} }), ""},
		"less than none":    {ok(func(d *Definition) { d.Service.Failover.NearestN = -1 }), "NearestN"},
		"a ttl":             {ok(func(d *Definition) { d.DNS.TTL = "10s" }), ""},
		"no ttl":            {ok(func(d *Definition) { d.DNS.TTL = "soon" }), "DNS TTL"},
		"a negative ttl":    {ok(func(d *Definition) { d.DNS.TTL = "-1s" }), "DNS TTL"},
		"a template":        {ok(func(d *Definition) { d.Template.Type = TypeNamePrefix }), ""},
		"a catch-all":       {ok(func(d *Definition) { d.Name, d.Template.Type = "", TypeNamePrefix }), ""},
		"another type":      {ok(func(d *Definition) { d.Template.Type = "suffix" }), "Template.Type"},
		"no type":           {ok(func(d *Definition) { d.Template.Regexp = "a" }), "without Template.Type"},
		"no regexp":         {ok(func(d *Definition) { d.Template = Template{Type: TypeNamePrefix, Regexp: "("} }), "Template.Regexp"},
		"no expression": {ok(func(d *Definition) {
			d.Template.Type, d.Service.Service = TypeNamePrefix, "${name.last}"
		}), "name.last"},
		"not closed": {ok(func(d *Definition) { d.Template.Type, d.Service.Service = TypeNamePrefix, "${name.full" }), "without }"},
	} {
		err := c.d.Validate()
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s: %v, want one about %q", name, err, c.want)
		}
	}
}

func TestRender(t *testing.T) {
	d := Definition{
		Name:     "geo-",
		Template: Template{Type: TypeNamePrefix, Regexp: `^geo-(.+?)-([^-]+)$`, RemoveEmptyTags: true},
		Service: Service{
			Service: "${match(1)}", Near: "${name.suffix}", Tags: []string{"${match(2)}", "${match(7)}", "!${agent.segment}", "$${x}"},
			IgnoreCheckIDs: []string{"${name.prefix}c"}, NodeMeta: map[string]string{"full": "${ name.full }"},
			ServiceMeta: map[string]string{"all": "a${match( 0 )}z"}, Failover: Failover{Datacenters: []string{"${match(2)}"}, Targets: []FailoverTarget{{Datacenter: "${match(1)}"}}},
		},
	}
	got, err := d.Render("geo-web-db-primary")
	if err != nil {
		t.Fatal(err)
	}
	want := Service{
		Service: "web-db", Near: "web-db-primary", Tags: []string{"primary", "${x}"},
		IgnoreCheckIDs: []string{"geo-c"}, NodeMeta: map[string]string{"full": "geo-web-db-primary"},
		ServiceMeta: map[string]string{"all": "ageo-web-db-primaryz"}, Failover: Failover{Datacenters: []string{"primary"}, Targets: []FailoverTarget{{Datacenter: "web-db"}}},
	}
	if !reflect.DeepEqual(got.Service, want) {
		t.Errorf("got  %+v\nwant %+v", got.Service, want)
	}
	if d.Service.Tags[0] != "${match(2)}" || d.Service.Failover.Targets[0].Datacenter != "${match(1)}" {
		t.Errorf("the template itself has become %+v", d.Service)
	}
	if got, err := d.Render("geo-x"); err != nil || got.Service.Service != "" {
		t.Errorf("a name that the expression does not match: %+v, %v", got.Service, err)
	}
	plain := Definition{Name: "n", Service: Service{Service: "${name.full}"}}
	if got, err := plain.Render("n"); err != nil || got.Service.Service != "${name.full}" {
		t.Errorf("what is no template has become %+v, %v", got.Service, err)
	}
}

// Whatever a template says, it is either refused when it is written or can be rendered for any
// name.
func FuzzTemplate(f *testing.F) {
	f.Add("${name.full}", "^(a)", "abc")
	f.Add("$${${match(1)}}", "", "")
	f.Add("${", "(", "x")
	f.Fuzz(func(t *testing.T, text, re, name string) {
		d := Definition{Name: "a", Template: Template{Type: TypeNamePrefix, Regexp: re}, Service: Service{Service: "s" + text, Tags: []string{text}}}
		if d.Validate() != nil {
			return
		}
		if _, err := d.Render("a" + name); err != nil {
			t.Errorf("%q with %q for %q: %v", text, re, name, err)
		}
	})
}

func newID(n int) string { return fmt.Sprintf("00000000-0000-4000-8000-%012x", n) }

func create(t testing.TB, s registry.Store, n int, d Definition) Definition {
	t.Helper()
	d.ID = newID(n)
	if err := Create(t.Context(), s, d, 0); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFind(t *testing.T) {
	s := storetest.NewMemory(t)
	template := func(name string) Definition {
		return Definition{Name: name, Template: Template{Type: TypeNamePrefix}, Service: Service{Service: "of-" + name, Tags: []string{"${name.suffix}"}}}
	}
	create(t, s, 1, Definition{Name: "Web", Service: Service{Service: "web"}})
	create(t, s, 2, template("w"))
	create(t, s, 3, template("web-"))
	create(t, s, 4, template("web-x"))
	for name, want := range map[string]string{
		"web": "web []", "WEB": "web []", newID(1): "web []", strings.ToUpper(newID(1)): "web []",
		"web-a": "of-web- [a]", "Web-A": "of-web- [A]", "web-xy": "of-web-x [y]", "wob": "of-w [ob]", "w": "of-w []",
		newID(3): "of-web- [${name.suffix}]", "other": "", newID(9): "", "we": "of-w [e]",
	} {
		q, err := Find(t.Context(), s.Range, name)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if q != nil {
			got = fmt.Sprintf("%s [%s]", q.Service.Service, strings.Join(q.Service.Tags, " "))
		}
		if got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	create(t, s, 5, template(""))
	if q, err := Find(t.Context(), s.Range, "other"); err != nil || q == nil || q.Service.Service != "of-" {
		t.Errorf("with one for every name: %+v, %v", q, err)
	}
}

func TestNamesAreUnique(t *testing.T) {
	s := storetest.NewMemory(t)
	one := create(t, s, 1, Definition{Name: "one", Service: Service{Service: "web"}})
	create(t, s, 2, Definition{Name: "two", Service: Service{Service: "web"}})
	var alias *AliasError
	again := Definition{ID: newID(3), Name: "ONE", Service: Service{Service: "web"}}
	if err := Create(t.Context(), s, again, 0); !errors.As(err, &alias) || !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("a name that is taken: %v", err)
	}
	again.Template.Type = TypeNamePrefix
	if err := Create(t.Context(), s, again, 0); err != nil {
		t.Errorf("a template of the name of a query: %v", err)
	}
	old, err := ByID(t.Context(), s.Range, one.ID)
	if err != nil {
		t.Fatal(err)
	}
	one.Name = "two"
	if done, err := Update(t.Context(), s, old, one, 0); done || !errors.As(err, &alias) {
		t.Errorf("renamed to a name that is taken: %v, %v", done, err)
	}
	one.Name = "uno"
	if done, err := Update(t.Context(), s, old, one, 0); !done || err != nil {
		t.Errorf("renamed: %v, %v", done, err)
	}
	if done, err := Update(t.Context(), s, old, one, 0); done || err != nil {
		t.Errorf("in the place of what was replaced: %v, %v", done, err)
	}
	if done, err := Delete(t.Context(), s, old); done || err != nil {
		t.Errorf("deleted as it was before: %v, %v", done, err)
	}
	if err := Create(t.Context(), s, Definition{ID: newID(4), Name: "one", Service: Service{Service: "web"}}, 0); err != nil {
		t.Errorf("a name that was given up: %v", err)
	}
	old, err = ByID(t.Context(), s.Range, one.ID)
	if err != nil {
		t.Fatal(err)
	}
	if done, err := Delete(t.Context(), s, old); !done || err != nil {
		t.Errorf("deleted: %v, %v", done, err)
	}
	if q, err := Find(t.Context(), s.Range, "uno"); q == nil || err != nil || q.ID != newID(3) && q.Name != "ONE" {
		if q != nil {
			t.Errorf("the deleted one is found: %+v, %v", q, err)
		}
	}
}

func TestWhatIsTooLargeIsRefused(t *testing.T) {
	d := Definition{ID: newID(1), Name: "n", Service: Service{Service: "web", Tags: []string{strings.Repeat("t", MaxBytes)}}}
	if err := Create(t.Context(), storetest.NewMemory(t), d, 0); !errors.Is(err, registry.ErrTooLarge) {
		t.Error(err)
	}
}

// A query that hangs from a lease goes with it, and its name is free again.
func TestQueryEndsWithItsLease(t *testing.T) {
	s := storetest.NewMemory(t)
	l, err := s.GrantLease(t.Context(), 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	d := Definition{ID: newID(1), Name: "n", Session: "s", Service: Service{Service: "web"}}
	if err := Create(t.Context(), s, d, l.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := s.RevokeLease(t.Context(), l.ID); err != nil {
		t.Fatal(err)
	}
	if q, err := Find(t.Context(), s.Range, "n"); q != nil || err != nil {
		t.Errorf("found %+v, %v", q, err)
	}
	d.Session = ""
	if err := Create(t.Context(), s, d, 0); err != nil {
		t.Error(err)
	}
}

func TestDecodeCorrupt(t *testing.T) {
	if _, err := Decode(&registry.KeyValue{Key: Key(newID(1)), Value: []byte("{")}); !errors.Is(err, registry.ErrCorrupt) {
		t.Error(err)
	}
}

// Names and definitions stay in step, whatever is done in whatever order.
func TestNamesFollowDefinitions(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		s := storetest.NewMemory(t)
		defer s.Close()
		model := map[string]Definition{} // by id
		names := rapid.SampledFrom([]string{"a", "B", "b", "ab"})
		for range rapid.IntRange(1, 30).Draw(rt, "steps") {
			d := Definition{
				ID: newID(rapid.IntRange(1, 4).Draw(rt, "id")), Name: names.Draw(rt, "name"), Service: Service{Service: "web"},
			}
			if rapid.Bool().Draw(rt, "template") {
				d.Template.Type = TypeNamePrefix
			}
			taken := false
			for id, m := range model {
				taken = taken || id != d.ID && m.nameKey() == d.nameKey()
			}
			old, err := ByID(t.Context(), s.Range, d.ID)
			if err != nil {
				rt.Fatal(err)
			}
			had, known := model[d.ID]
			if (old != nil) != known || known && old.Name != had.Name {
				rt.Fatalf("the store has %+v, want %+v", old, had)
			}
			switch {
			case old == nil:
				if err := Create(t.Context(), s, d, 0); (err != nil) != taken {
					rt.Fatalf("create %+v: %v, its name is taken: %v", d, err, taken)
				}
				if !taken {
					model[d.ID] = d
				}
			case rapid.Bool().Draw(rt, "delete"):
				if done, err := Delete(t.Context(), s, old); !done || err != nil {
					rt.Fatal(done, err)
				}
				delete(model, d.ID)
			default:
				if done, err := Update(t.Context(), s, old, d, 0); done == taken || (err != nil) != taken {
					rt.Fatalf("update to %+v: %v, %v, its name is taken: %v", d, done, err, taken)
				}
				if !taken {
					model[d.ID] = d
				}
			}
			res, err := s.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.All()})
			if err != nil {
				rt.Fatal(err)
			}
			if len(res.KVs) != 2*len(model) {
				rt.Fatalf("there are %d keys for %d queries", len(res.KVs), len(model))
			}
		}
	})
}

// world is a catalog with a few instances of web.
func world(t testing.TB) *catalog.Index {
	t.Helper()
	s := storetest.NewMemory(t)
	for _, w := range []struct {
		node, id string
		tags     []string
		meta     string
		checks   []registry.Check
	}{
		{"n1", "good", []string{"v1", "blue"}, "eu", nil},
		{"n2", "slow", []string{"V1"}, "us", []registry.Check{{ID: "latency", Status: registry.Warning}}},
		{"n3", "dead", []string{"v2"}, "eu", []registry.Check{{ID: "ping", Status: registry.Critical}, {ID: "latency", Status: registry.Warning}}},
	} {
		i := registry.Instance{ID: w.id, Service: "web", Tags: w.tags, Meta: map[string]string{"zone": w.meta}}
		r := catalog.NodeRecords{
			Node: registry.Node{Name: w.node, Address: "10.0.0.1", Meta: map[string]string{"rack": w.meta}}, Instances: []registry.Instance{i},
		}
		for _, c := range w.checks {
			c.ServiceID = w.id
			r.Checks = append(r.Checks, c)
		}
		if err := catalog.Advertise(t.Context(), s, 0, r); err != nil {
			t.Fatal(err)
		}
	}
	c := catalog.New()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Follow(ctx, s) }()
	x, err := c.WaitRevision(t.Context(), 4)
	cancel()
	if err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	return x
}

func TestExecute(t *testing.T) {
	x := world(t)
	for name, c := range map[string]struct {
		s    Service
		o    Options
		want string
	}{
		"all but critical":         {Service{}, Options{}, "good slow"},
		"passing":                  {Service{OnlyPassing: true}, Options{}, "good"},
		"without a check":          {Service{IgnoreCheckIDs: []string{"ping"}}, Options{}, "good slow dead"},
		"without a check, passing": {Service{IgnoreCheckIDs: []string{"ping"}, OnlyPassing: true}, Options{}, "good"},
		"without checks":           {Service{IgnoreCheckIDs: []string{"ping", "latency"}, OnlyPassing: true}, Options{}, "good slow dead"},
		"a tag":                    {Service{Tags: []string{"v1"}}, Options{}, "good slow"},
		"two tags":                 {Service{Tags: []string{"V1", "blue"}}, Options{}, "good"},
		"not a tag":                {Service{Tags: []string{"v1", "!BLUE"}}, Options{}, "slow"},
		"a node's meta":            {Service{NodeMeta: map[string]string{"rack": "us"}}, Options{}, "slow"},
		"an instance's meta":       {Service{ServiceMeta: map[string]string{"zone": "eu"}}, Options{}, "good"},
		"no such meta":             {Service{ServiceMeta: map[string]string{"none": ""}}, Options{}, ""},
		"a limit":                  {Service{}, Options{Limit: 1}, "good"},
		"near":                     {Service{}, Options{Near: "N2"}, "slow good"},
		"near, and a limit":        {Service{}, Options{Near: "n2", Limit: 1}, "slow"},
		"near nobody":              {Service{}, Options{Near: "n9"}, "good slow"},
		"in another order":         {Service{}, Options{Shuffle: reverse}, "slow good"},
		"shuffled, and near":       {Service{IgnoreCheckIDs: []string{"ping"}}, Options{Shuffle: reverse, Near: "n1"}, "good dead slow"},
	} {
		c.s.Service = "Web"
		d := Definition{Service: c.s}
		var ids []string
		for _, i := range d.Execute(x, c.o) {
			ids = append(ids, i.ID)
		}
		if got := strings.Join(ids, " "); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	d := Definition{Service: Service{Service: "none"}}
	if got := d.Execute(x, Options{}); len(got) != 0 {
		t.Errorf("a service that there is not has %v", got)
	}
	// What the catalog has is in its own order still.
	if !slices.IsSortedFunc(x.Service("web").Instances(), func(a, b *catalog.Instance) int { return strings.Compare(a.Host.Name, b.Host.Name) }) {
		t.Error("the catalog's own list was shuffled")
	}
}

func reverse(n int, swap func(i, j int)) {
	for i := range n / 2 {
		swap(i, n-1-i)
	}
}
