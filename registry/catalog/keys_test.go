package catalog

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"herald/registry"
)

func TestKeys(t *testing.T) {
	for _, test := range []struct {
		key, want string
		id        identity
	}{
		{NodeKey("Node1"), "n\x00node1", identity{kind: nodeRecord, node: "node1"}},
		{InstanceKey("Node1", "Web/1"), "s\x00node1\x00Web/1", identity{kind: instanceRecord, node: "node1", instance: "Web/1"}},
		{CheckKey("n", "Web", "C 1"), "c\x00n\x00Web\x00C 1", identity{kind: checkRecord, node: "n", instance: "Web", check: "C 1"}},
		{CheckKey("n", "", "serfHealth"), "c\x00n\x00\x00serfHealth", identity{kind: checkRecord, node: "n", check: "serfHealth"}},
	} {
		if test.key != test.want {
			t.Errorf("key %q, want %q", test.key, test.want)
		}
		if id, err := parseKey(test.key); err != nil || id != test.id {
			t.Errorf("parseKey(%q) = %+v, %v, want %+v", test.key, id, err, test.id)
		}
	}
}

func TestKeysThatNameNothing(t *testing.T) {
	for _, key := range []string{
		"", "n", "x\x00a", "nn\x00a", "n\x00", "n\x00A", "n\x00a\x00b", "s\x00a", "s\x00a\x00", "s\x00\x00b", "s\x00a\x00b\x00c",
		"c\x00a", "c\x00a\x00b", "c\x00a\x00b\x00", "c\x00\x00b\x00c", "c\x00a\x00b\x00c\x00d",
	} {
		if id, err := parseKey(key); err == nil {
			t.Errorf("parseKey(%q) = %+v, want an error", key, id)
		}
	}
}

// A prefix of one node must not reach into another whose name begins alike.
func TestRangesOfNode(t *testing.T) {
	mine := []string{NodeKey("a"), InstanceKey("a", "1"), CheckKey("a", "", "c"), CheckKey("a", "1", "c")}
	others := []string{NodeKey("a-b"), NodeKey("ab"), InstanceKey("a-b", "1"), CheckKey("ab", "", "c"), InstanceKey("b", "1")}
	in := func(key string) bool {
		return slices.ContainsFunc(rangesOf("A"), func(r registry.KeyRange) bool { return r.Contains(key) })
	}
	for _, key := range mine {
		if !in(key) {
			t.Errorf("%q is not in the ranges of its node", key)
		}
	}
	for _, key := range others {
		if in(key) {
			t.Errorf("%q is in the ranges of another node", key)
		}
	}
}

func rangesOf(node string) []registry.KeyRange { r := RangesOfNode(node); return r[:] }

func TestValidate(t *testing.T) {
	good := registry.Instance{Node: "n", ID: "i", Service: "s", Weights: registry.DefaultWeights()}
	for name, change := range map[string]func(*registry.Instance){
		"no node":        func(i *registry.Instance) { i.Node = "" },
		"no id":          func(i *registry.Instance) { i.ID = "" },
		"no service":     func(i *registry.Instance) { i.Service = "" },
		"NUL in node":    func(i *registry.Instance) { i.Node = "a\x00b" },
		"NUL in id":      func(i *registry.Instance) { i.ID = "a\x00b" },
		"not UTF-8":      func(i *registry.Instance) { i.ID = "\xff" },
		"long":           func(i *registry.Instance) { i.Service = strings.Repeat("a", MaxNameBytes+1) },
		"port":           func(i *registry.Instance) { i.Port = 65536 },
		"negative port":  func(i *registry.Instance) { i.Port = -1 },
		"tagged port":    func(i *registry.Instance) { i.TaggedAddresses = map[string]registry.ServiceAddress{"lan": {Port: -1}} },
		"weight":         func(i *registry.Instance) { i.Weights.Warning = -1 },
		"a great weight": func(i *registry.Instance) { i.Weights.Passing = 1 << 31 },
	} {
		i := good
		change(&i)
		if err := ValidateInstance(i); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
	if err := ValidateInstance(good); err != nil {
		t.Error(err)
	}
	if err := ValidateNode(registry.Node{Name: "a\x00"}); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("node: %v", err)
	}
	for _, c := range []registry.Check{{ID: "c"}, {Node: "n"}, {Node: "n", ID: "c", ServiceID: "\x00"}} {
		if err := ValidateCheck(c); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%+v: %v, want ErrInvalid", c, err)
		}
	}
	if err := ValidateCheck(registry.Check{Node: "n", ID: "c"}); err != nil {
		t.Error(err)
	}
}

// A key that parses is exactly the key of what it names.
func FuzzParseKey(f *testing.F) {
	for _, key := range []string{NodeKey("n"), InstanceKey("n", "i"), CheckKey("n", "i", "c"), CheckKey("n", "", "c"), "", "n\x00\xff", "n\x00İ"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		id, err := parseKey(key)
		if err != nil {
			return
		}
		var again string
		switch id.kind {
		case nodeRecord:
			again = NodeKey(id.node)
		case instanceRecord:
			again = InstanceKey(id.node, id.instance)
		default:
			again = CheckKey(id.node, id.instance, id.check)
		}
		if again != key {
			t.Errorf("parseKey(%q) = %+v, whose key is %q", key, id, again)
		}
	})
}
