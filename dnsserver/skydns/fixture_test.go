package skydns

import (
	"strings"
	"testing"

	"herald/registry"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var usual = prefixOf("/skydns")

func prefixOf(s string) Prefix {
	p, err := ParsePrefix(s)
	if err != nil {
		panic(err)
	}
	return p
}

// grown is a tree of keys and values, written one after the other.
func grown(t testing.TB, kvs ...string) *Tree {
	t.Helper()
	b := newBuilder(usual, func(err error) { t.Error(err) })
	for i := 0; i < len(kvs); i += 2 {
		b.put(&registry.KeyValue{Key: kvs[i], Value: []byte(kvs[i+1]), ModRevision: int64(i + 1)})
	}
	return b.tree()
}

// pathOf is the path of a name that is written with dots.
func pathOf(t testing.TB, name string) string {
	t.Helper()
	labels := strings.Split(name, ".")
	var path []byte
	for i := range labels {
		var ok bool
		if path, ok = AppendLabel(path, labels[len(labels)-1-i]); !ok {
			t.Fatalf("%q is no name", name)
		}
	}
	return string(path)
}

// hosts are what records have for a host or else a text, in their order.
func hosts(records []*Record) string {
	var all []string
	for _, r := range records {
		switch {
		case r.Address.IsValid():
			all = append(all, r.Address.String())
		case r.Host != "":
			all = append(all, r.Host)
		default:
			all = append(all, r.Text)
		}
	}
	return strings.Join(all, " ")
}
