package consulapi

import (
	"bytes"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestKV(t *testing.T) {
	a, b := server(t).KV(), server(t).KV()
	p := name(t, "")
	_, err := a.Put(&api.KVPair{Key: p + "a", Value: []byte("1"), Flags: 1<<63 + 7}, nil)
	check(t, err)
	kv, meta, err := b.Get(p+"a", nil)
	check(t, err)
	if kv == nil || string(kv.Value) != "1" || kv.Flags != 1<<63+7 || kv.ModifyIndex != meta.LastIndex || !meta.KnownLeader {
		t.Fatalf("%+v, %+v", kv, meta)
	}
	none, meta, err := b.Get(p+"none", &api.QueryOptions{RequireConsistent: true})
	if err != nil || none != nil || meta.LastIndex == 0 {
		t.Errorf("a missing key: %v, %+v, %v", none, meta, err)
	}
	ok, _, err := a.CAS(&api.KVPair{Key: p + "a", Value: []byte("2"), ModifyIndex: kv.ModifyIndex + 1}, nil)
	check(t, err)
	equal(t, "CAS with another index", ok, false)
	ok, _, err = a.CAS(&api.KVPair{Key: p + "a", Value: []byte("2"), ModifyIndex: kv.ModifyIndex}, nil)
	check(t, err)
	equal(t, "CAS", ok, true)
	ok, _, err = a.CAS(&api.KVPair{Key: p + "a", Value: []byte("3")}, nil)
	check(t, err)
	equal(t, "CAS of a new key", ok, false)
	_, err = b.Put(&api.KVPair{Key: p + "b/c", Value: bytes.Repeat([]byte{0, 255}, 1000)}, nil)
	check(t, err)
	keys, _, err := a.Keys(p, "/", nil)
	check(t, err)
	if len(keys) != 2 || keys[0] != p+"a" || keys[1] != p+"b/" {
		t.Errorf("keys %v", keys)
	}
	list, _, err := b.List(p, nil)
	check(t, err)
	if len(list) != 2 || len(list[1].Value) != 2000 {
		t.Errorf("list %v", list)
	}
	ok, _, err = a.DeleteCAS(&api.KVPair{Key: p + "a", ModifyIndex: kv.ModifyIndex}, nil)
	check(t, err)
	equal(t, "DeleteCAS with an old index", ok, false)
	_, err = a.DeleteTree(p, nil)
	check(t, err)
	list, _, err = b.List(p, nil)
	if err != nil || len(list) != 0 {
		t.Errorf("after DeleteTree: %v, %v", list, err)
	}
}

// A blocking query returns when its key changes and for no other; its index is that of the key.
func TestKVBlocks(t *testing.T) {
	a, b := server(t).KV(), server(t).KV()
	key := name(t, "k")
	_, err := a.Put(&api.KVPair{Key: key, Value: []byte("1")}, nil)
	check(t, err)
	_, meta, err := b.Get(key, nil)
	check(t, err)
	began := time.Now()
	_, same, err := b.Get(key, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: 300 * time.Millisecond})
	check(t, err)
	if time.Since(began) < 300*time.Millisecond || same.LastIndex != meta.LastIndex {
		t.Errorf("returned after %v with index %d, was %d", time.Since(began), same.LastIndex, meta.LastIndex)
	}
	type answer struct {
		kv  *api.KVPair
		err error
	}
	answers := make(chan answer)
	go func() {
		kv, _, err := b.Get(key, &api.QueryOptions{WaitIndex: meta.LastIndex, WaitTime: time.Minute})
		answers <- answer{kv, err}
	}()
	_, err = a.Put(&api.KVPair{Key: key + "-other", Value: []byte("x")}, nil)
	check(t, err)
	_, err = a.Put(&api.KVPair{Key: key, Value: []byte("2")}, nil)
	check(t, err)
	got := <-answers
	if got.err != nil || string(got.kv.Value) != "2" {
		t.Errorf("%+v, %v", got.kv, got.err)
	}
}

func TestTxn(t *testing.T) {
	c := server(t)
	p := name(t, "")
	ok, res, _, err := c.Txn().Txn(api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: p + "a", Value: []byte("1")}},
		{KV: &api.KVTxnOp{Verb: api.KVCheckNotExists, Key: p + "b"}},
		{KV: &api.KVTxnOp{Verb: api.KVGet, Key: p + "a"}},
	}, nil)
	if err != nil || !ok || len(res.Results) != 2 || string(res.Results[1].KV.Value) != "1" {
		t.Fatalf("%v, %+v, %v", ok, res, err)
	}
	index := res.Results[0].KV.ModifyIndex
	ok, res, _, err = server(t).Txn().Txn(api.TxnOps{
		{KV: &api.KVTxnOp{Verb: api.KVSet, Key: p + "c", Value: []byte("1")}},
		{KV: &api.KVTxnOp{Verb: api.KVCAS, Key: p + "a", Value: []byte("2"), Index: index + 1}},
	}, nil)
	if err != nil || ok || len(res.Errors) != 1 || res.Errors[0].OpIndex != 1 {
		t.Errorf("a conflict: %v, %+v, %v", ok, res, err)
	}
	if kv, _, err := server(t).KV().Get(p+"c", nil); err != nil || kv != nil {
		t.Errorf("half a transaction: %v, %v", kv, err)
	}
	ok, res, _, err = c.Txn().Txn(api.TxnOps{
		{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: api.Node{Node: p + "node", Address: "10.9.9.9"}}},
		{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: p + "node", Service: api.AgentService{ID: "s", Service: p + "svc", Port: 80}}},
		{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: api.HealthCheck{Node: p + "node", CheckID: "c", Name: "c", ServiceID: "s", Status: api.HealthPassing}}},
	}, nil)
	if err != nil || !ok {
		t.Fatalf("the catalog: %v, %+v, %v", ok, res, err)
	}
	found, _, err := server(t).Health().Service(p+"svc", "", true, nil)
	if err != nil || len(found) != 1 || found[0].Service.Port != 80 {
		t.Errorf("the service: %v, %v", found, err)
	}
}
