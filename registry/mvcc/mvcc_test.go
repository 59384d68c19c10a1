package mvcc

import (
	"testing"

	"herald/registry"
)

func TestFirstWrite(t *testing.T) {
	s := New()
	c := Command{Txn: &registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "a", Value: []byte("1")}}}}}
	b := c.AppendTo(nil)
	d, err := DecodeCommand(b)
	if err != nil {
		t.Fatal(err)
	}
	r := s.Apply(1, &d)
	if r.Err != nil || r.Txn.Results[0].Put.Revision != 2 {
		t.Fatalf("%+v", r)
	}
	v := s.Publish()
	kv, ok := v.Get(0, "a")
	if !ok || string(kv.Value) != "1" || kv.ModRevision != 2 {
		t.Fatalf("%+v", kv)
	}
}
