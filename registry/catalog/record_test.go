package catalog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/wire"
)

// The encodings are on disks and in logs: a change to these bytes is a change of
// format.
func TestRecordBytes(t *testing.T) {
	for name, test := range map[string]struct {
		got  []byte
		want string
	}{
		"node": {EncodeNode(registry.Node{Name: "n1", ID: "u", Address: "10.0.0.1",
			TaggedAddresses: map[string]string{"wan": "w", "lan": "l"}, Meta: map[string]string{"k": ""}}),
			"0a026e31" + "120175" + "1a0831302e302e302e31" + "22080a036c616e12016c" + "22080a0377616e120177" + "2a030a016b"},
		"instance": {EncodeInstance(registry.Instance{Node: "n1", ID: "i", Service: "s", Tags: []string{"b", "", "a"}, Address: "a", Port: 80,
			TaggedAddresses: map[string]registry.ServiceAddress{"lan": {Address: "l", Port: 1}}, Meta: map[string]string{"k": "v"},
			Weights: registry.Weights{Passing: 1, Warning: 2}, EnableTagOverride: true, SocketPath: "p"}),
			"0a026e31" + "120169" + "1a0173" + "220162" + "2200" + "220161" + "2a0161" + "30a001" +
				"3a0a0a036c616e12016c1802" + "42060a016b120176" + "4802" + "5004" + "5801" + "620170"},
		"check": {EncodeCheck(registry.Check{Node: "n1", ID: "c", Name: "N", Status: registry.Passing, Notes: "t", Output: "o",
			ServiceID: "i", ServiceName: "s", Kind: "ttl", Interval: 5, Timeout: 1}),
			"0a026e31" + "120163" + "1a014e" + "220770617373696e67" + "2a0174" + "32016f" + "3a0169" + "420173" + "4a0374746c" + "500a" + "5802"},
	} {
		if got := hex.EncodeToString(test.got); got != test.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, test.want)
		}
	}
}

func TestRecordsSkipUnknownFields(t *testing.T) {
	later := func(b []byte) []byte {
		b = wire.AppendString(b, 1000, "from a later version")
		return wire.AppendUint(b, 1001, 7)
	}
	n := registry.Node{Name: "n"}
	if got, err := DecodeNode(later(EncodeNode(n))); err != nil || !reflect.DeepEqual(got, n) {
		t.Errorf("node: %+v, %v", got, err)
	}
	i := registry.Instance{Node: "n", ID: "i", Service: "s"}
	if got, err := DecodeInstance(later(EncodeInstance(i))); err != nil || !reflect.DeepEqual(got, i) {
		t.Errorf("instance: %+v, %v", got, err)
	}
	c := registry.Check{Node: "n", ID: "c"}
	if got, err := DecodeCheck(later(EncodeCheck(c))); err != nil || !reflect.DeepEqual(got, c) {
		t.Errorf("check: %+v, %v", got, err)
	}
}

func TestRecordsAreCanonical(t *testing.T) {
	a := EncodeInstance(registry.Instance{ID: "i", Tags: []string{}, Meta: map[string]string{}, TaggedAddresses: map[string]registry.ServiceAddress{}})
	b := EncodeInstance(registry.Instance{ID: "i"})
	if !bytes.Equal(a, b) {
		t.Errorf("empty collections encode as %x, none as %x", a, b)
	}
	if a, b := EncodeInstance(registry.Instance{Tags: []string{"a", "b"}}), EncodeInstance(registry.Instance{Tags: []string{"b", "a"}}); bytes.Equal(a, b) {
		t.Error("the order of tags is lost")
	}
	many := map[string]string{}
	for _, k := range "qwertyuiopasdfghjklzxcvbnm" {
		many[string(k)] = "v"
	}
	first := EncodeNode(registry.Node{Name: "n", Meta: many, TaggedAddresses: many})
	for range 20 {
		if again := EncodeNode(registry.Node{Name: "n", Meta: many, TaggedAddresses: many}); !bytes.Equal(first, again) {
			t.Fatal("equal nodes have different bytes")
		}
	}
}

func TestRecordsOutOfRange(t *testing.T) {
	b := wire.AppendInt(nil, 6, 1<<31)
	if _, err := DecodeInstance(b); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("a port of 2^31: %v", err)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	str := rapid.String()
	small := rapid.MapOfN(str, str, 0, 3)
	orNil := func(m map[string]string) map[string]string {
		if len(m) == 0 {
			return nil
		}
		return m
	}
	rapid.Check(t, func(t *rapid.T) {
		n := registry.Node{
			Name: str.Draw(t, "name"), ID: str.Draw(t, "id"), Address: str.Draw(t, "address"),
			TaggedAddresses: orNil(small.Draw(t, "tagged")), Meta: orNil(small.Draw(t, "meta")),
		}
		if got, err := DecodeNode(EncodeNode(n)); err != nil || !reflect.DeepEqual(got, n) {
			t.Fatalf("%+v, %v, want %+v", got, err, n)
		}
		i := registry.Instance{
			Node: n.Name, ID: n.ID, Service: str.Draw(t, "service"), Address: n.Address, Port: int(rapid.Int32().Draw(t, "port")),
			Meta: n.Meta, Weights: registry.Weights{Passing: int(rapid.Int32().Draw(t, "passing")), Warning: int(rapid.Int32().Draw(t, "warning"))},
			EnableTagOverride: rapid.Bool().Draw(t, "override"), SocketPath: str.Draw(t, "socket"),
		}
		if tags := rapid.SliceOfN(str, 0, 4).Draw(t, "tags"); len(tags) > 0 {
			i.Tags = tags
		}
		for range rapid.IntRange(0, 2).Draw(t, "addresses") {
			if i.TaggedAddresses == nil {
				i.TaggedAddresses = map[string]registry.ServiceAddress{}
			}
			i.TaggedAddresses[str.Draw(t, "tag")] = registry.ServiceAddress{Address: str.Draw(t, "at"), Port: int(rapid.Int32().Draw(t, "p"))}
		}
		if got, err := DecodeInstance(EncodeInstance(i)); err != nil || !reflect.DeepEqual(got, i) {
			t.Fatalf("%+v, %v, want %+v", got, err, i)
		}
		c := registry.Check{
			Node: n.Name, ID: n.ID, Name: i.Service, Status: registry.HealthStatus(rapid.SampledFrom([]string{"", "passing", "warning", "critical", "else"}).Draw(t, "status")),
			Notes: str.Draw(t, "notes"), Output: str.Draw(t, "output"), ServiceID: str.Draw(t, "sid"), ServiceName: i.Service, Kind: str.Draw(t, "kind"),
			Interval: time.Duration(rapid.Int64().Draw(t, "interval")), Timeout: time.Duration(rapid.Int64().Draw(t, "timeout")),
		}
		if got, err := DecodeCheck(EncodeCheck(c)); err != nil || got != c {
			t.Fatalf("%+v, %v, want %+v", got, err, c)
		}
	})
}

func fuzzRecord[T any](f *testing.F, encode func(T) []byte, decode func([]byte) (T, error), seeds ...T) {
	for _, s := range seeds {
		f.Add(encode(s))
	}
	f.Add([]byte{0x22, 0x02, 0x0a})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decode(b)
		if err != nil {
			if !errors.Is(err, registry.ErrCorrupt) {
				t.Errorf("%v is not ErrCorrupt", err)
			}
			return
		}
		again, err := decode(encode(r))
		if err != nil || !reflect.DeepEqual(again, r) {
			t.Errorf("%+v became %+v, %v", r, again, err)
		}
	})
}

func FuzzDecodeNode(f *testing.F) {
	fuzzRecord(f, EncodeNode, DecodeNode, registry.Node{Name: "n", Meta: map[string]string{"a": "b"}})
}

func FuzzDecodeInstance(f *testing.F) {
	fuzzRecord(f, EncodeInstance, DecodeInstance, registry.Instance{Node: "n", ID: "i", Service: "s", Tags: []string{"", "t"}, Port: 1,
		TaggedAddresses: map[string]registry.ServiceAddress{"lan": {Address: "a", Port: 2}}, Weights: registry.DefaultWeights()})
}

func FuzzDecodeCheck(f *testing.F) {
	fuzzRecord(f, EncodeCheck, DecodeCheck, registry.Check{Node: "n", ID: "c", Status: registry.Warning, Interval: time.Second})
}
