package skydns

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"herald/registry"

	"pgregory.net/rapid"
)

func TestLookup(t *testing.T) {
	tree := grown(t,
		"/skydns/local/skydns/east/production/rails/1", `{"host":"service1.example.com"}`,
		"/skydns/local/skydns/west/production/rails/2", `{"host":"service2.example.com"}`,
		"/skydns/local/skydns/east/staging/rails/4", `{"host":"10.0.1.125"}`,
		"/skydns/local/skydns/east/staging/rails/6", `{"host":"2003::8:1"}`,
		"/skydns/local/skydns/east/staging/rails", `{"host":"10.0.1.1"}`,
		"/skydns/local/skydns/eastern", `{"host":"10.0.1.2"}`,
		"/skydns/local/skydns/ea", `{"host":"10.0.1.3"}`,
		"/skydns/local/skydns/East/Staging/", `{"host":"10.0.1.4"}`,
		"/skydns/local/skydns/east/staging", `{"host":"10.0.1.5"}`,
	)
	const staging = "10.0.1.5 10.0.1.4 10.0.1.1 10.0.1.125 2003::8:1"
	for name, want := range map[string]string{
		"east.skydns.local":                 "service1.example.com " + staging,
		"staging.east.skydns.local":         staging,
		"rails.staging.east.skydns.local":   "10.0.1.1 10.0.1.125 2003::8:1",
		"6.rails.staging.east.skydns.local": "2003::8:1",
		"ea.skydns.local":                   "10.0.1.3",
		"skydns.local":                      "10.0.1.3 service1.example.com " + staging + " 10.0.1.2 service2.example.com",
		"*.staging.east.skydns.local":       "10.0.1.1 10.0.1.125 2003::8:1",
		"staging.*.skydns.local":            staging,
		"rails.production.any.skydns.local": "service1.example.com service2.example.com",
		"*.*.*.*.skydns.local":              "service1.example.com 10.0.1.125 2003::8:1 service2.example.com",
		"1.*.*.*.skydns.local":              "service1.example.com",
		"*.rails.*.*.skydns.local":          "service1.example.com 10.0.1.125 2003::8:1 service2.example.com",
		"production.*.*":                    "",
		"production.*.*.*":                  "service1.example.com service2.example.com",
		"*.ea.skydns.local":                 "",
		"e.skydns.local":                    "",
		"nosuch.east.skydns.local":          "",
		"7.rails.staging.east.skydns.local": "",
		"skydns":                            "",
	} {
		found, whole := tree.Lookup(nil, pathOf(t, name), MaxWork)
		if got := hosts(found); got != want || !whole {
			t.Errorf("%s: %q, whole %v; want %q", name, got, whole, want)
		}
	}
}

// TestLookupIsBounded: what matches many names, or none of many, costs no more than MaxWork.
func TestLookupIsBounded(t *testing.T) {
	b := newBuilder(usual, func(err error) { t.Error(err) })
	for i := range 100_000 {
		b.put(&registry.KeyValue{Key: fmt.Sprintf("/skydns/local/skydns/%d/%d/x", i%400, i), Value: []byte(`{}`)})
	}
	tree := b.tree()
	if tree.Len() != 100_000 {
		t.Fatalf("%d records", tree.Len())
	}
	dst := make([]*Record, 0, MaxWork)
	for name, want := range map[string]int{
		"skydns.local": MaxWork, "*.*.*.skydns.local": -1, "*.skydns.local": -1, "nosuch.*.*.skydns.local": 0, "nosuch.*.skydns.local": 0,
		"x.5.5.skydns.local": 1, "5.skydns.local": 250, "x.*.5.skydns.local": 250,
	} {
		found, whole := tree.Lookup(dst, pathOf(t, name), MaxWork)
		switch {
		case name == "nosuch.*.skydns.local" || strings.Contains(name, "5"):
			if !whole {
				t.Errorf("%s: not whole, though 400 names are to be looked at", name)
			}
		case whole:
			t.Errorf("%s: whole with %d records", name, len(found))
		}
		if want >= 0 && len(found) != want {
			t.Errorf("%s: %d records, want %d", name, len(found), want)
		}
		if len(found) > MaxWork {
			t.Errorf("%s: %d records", name, len(found))
		}
	}
}

func TestGrouped(t *testing.T) {
	for _, test := range []struct{ name, records, want string }{
		{"no group", "a/1 b/2", "1 2"},
		{"one level, one group", "a/1/g b/2/g c/3", "1 2 3"},
		{"one level, two groups", "a/1/g b/2/h", "1 2"},
		{"the higher one's", "a/1/g b/c/2/h", "1"},
		{"the higher one's, which comes later", "a/b/1/g c/2/h", "2"},
		{"those without go with any", "a/1/g b/c/2/h b/d/3", "1 3"},
		{"two beneath disagree", "a/b/1/g c/d/2/h e/f/g/3/i", "1 2 3"},
		{"the higher has none", "a/1 b/c/2/g b/d/e/3/h", "1 2"},
	} {
		var kvs []string
		for _, r := range strings.Fields(test.records) {
			parts := strings.Split(r, "/")
			group := ""
			if last := parts[len(parts)-1]; last >= "g" {
				group, parts = last, parts[:len(parts)-1]
			}
			n := len(parts) - 1
			kvs = append(kvs, "/skydns/"+strings.Join(parts[:n], "/"), fmt.Sprintf(`{"text":%q,"group":%q}`, parts[n], group))
		}
		found, _ := grown(t, append(kvs, "/skydns/zz", `{"text":"z","group":"q"}`)...).Lookup(nil, "", MaxWork)
		if got := hosts(Grouped(found[:len(found)-1])); got != test.want {
			t.Errorf("%s: %q; want %q", test.name, got, test.want)
		}
	}
}

// modelLookup is Lookup as one would say it: of a map of keys and values, all whose labels begin with those of the name.
func modelLookup(kvs map[string]registry.KeyValue, name string) []string {
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	var all []string
	for key, kv := range kvs {
		if _, err := ParseValue(kv.Value); err != nil || strings.ContainsAny(key, ".") || strings.Contains(strings.TrimPrefix(key, "/skydns/"), "//") {
			continue
		}
		parts := strings.Split(strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(key, "/skydns/"), "/")), "/")
		matches := len(parts) >= len(labels)
		for i := 0; matches && i < len(labels); i++ {
			matches = labels[i] == "*" || labels[i] == "any" || labels[i] == parts[i]
		}
		if matches {
			ttl := uint32(300)
			if kv.Lease != 0 {
				ttl = 30
			}
			all = append(all, fmt.Sprintf("%s %d", strings.Join(parts, "/"), ttl))
		}
	}
	slices.Sort(all)
	return all
}

var parts = []string{"a", "b", "ab", "A", "*", "any", "a-b", "c.d", "0"}

func anyKey(t *rapid.T) string {
	key := "/skydns/" + strings.Join(rapid.SliceOfN(rapid.SampledFrom(parts), 1, 4).Draw(t, "parts"), "/")
	return key + rapid.SampledFrom([]string{"", "", "", "/", "//"}).Draw(t, "end")
}

func anyName(t *rapid.T) string {
	return strings.Join(rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "ab", "*", "any", "a-b", "0"}), 1, 4).Draw(t, "labels"), ".")
}

// wantLookup compares what a name finds with the model.
func wantLookup(t *rapid.T, tree *Tree, kvs map[string]registry.KeyValue, name string) {
	labels := strings.Split(name, ".")
	slices.Reverse(labels)
	found, whole := tree.Lookup(nil, strings.Join(labels, labelEnd)+labelEnd, MaxWork)
	var got []string
	for _, r := range found {
		got = append(got, fmt.Sprintf("%s %d", strings.ReplaceAll(strings.TrimSuffix(r.Path(), labelEnd), labelEnd, "/"), r.TTL))
	}
	if !slices.IsSortedFunc(found, func(a, b *Record) int { return strings.Compare(a.Key(), b.Key()) }) {
		t.Fatalf("%s: %q are not in order", name, got)
	}
	slices.Sort(got)
	if want := modelLookup(kvs, name); !slices.Equal(got, want) || !whole {
		t.Fatalf("%s finds %q, whole %v; want %q", name, got, whole, want)
	}
}

// TestTreeIsTheKeys: after any puts, deletes and leases, each name finds what a map of the keys says, and trees of before what
// they did.
func TestTreeIsTheKeys(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := newBuilder(usual, func(error) {})
		now := map[string]registry.KeyValue{}
		type kept struct {
			tree *Tree
			kvs  map[string]registry.KeyValue
		}
		var before []kept
		revision := int64(1)
		for range rapid.IntRange(1, 30).Draw(t, "commits") {
			revision++
			c := registry.Commit{Revision: revision}
			for range rapid.IntRange(0, 3).Draw(t, "events") {
				key := anyKey(t)
				if rapid.IntRange(0, 3).Draw(t, "kind") == 0 {
					delete(now, key)
					c.Events = append(c.Events, registry.Event{Type: registry.EventDelete, KV: registry.KeyValue{Key: key, ModRevision: revision}})
					continue
				}
				kv := registry.KeyValue{
					Key: key, Value: []byte(rapid.SampledFrom([]string{`{"host":"10.0.0.1"}`, `{"host":"b.a"}`, `{`}).Draw(t, "value")), ModRevision: revision,
					Lease: registry.LeaseID(rapid.IntRange(0, 1).Draw(t, "lease")),
				}
				now[key] = kv
				c.Events = append(c.Events, registry.Event{KV: kv})
			}
			b.commit(&c)
			before = append(before, kept{b.tree(), maps.Clone(now)})
		}
		for _, k := range before {
			for range 5 {
				wantLookup(t, k.tree, k.kvs, anyName(t))
			}
		}
		if bad := len(now) - b.tree().Len(); bad != len(b.refused) {
			t.Fatalf("%d of %d keys are in no tree, and %d refused", bad, len(now), len(b.refused))
		}
	})
}

func BenchmarkLookup(b *testing.B) {
	build := newBuilder(usual, func(err error) { b.Error(err) })
	for i := range 100_000 {
		build.put(&registry.KeyValue{Key: fmt.Sprintf("/skydns/local/skydns/s%d/i%d", i/10, i%10), Value: []byte(`{"host":"10.0.0.1"}`)})
	}
	tree := build.tree()
	dst := make([]*Record, 0, MaxWork)
	for _, name := range []string{"s5000.skydns.local", "i5.s5000.skydns.local", "nosuch.skydns.local", "i5.*.skydns.local", "skydns.local"} {
		path := pathOf(b, name)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tree.Lookup(dst, path, MaxWork)
			}
		})
	}
}
