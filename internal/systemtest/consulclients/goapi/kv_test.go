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

// A session's lock is on the key, as a number of its own for each time that it was taken.
func TestKVAcquire(t *testing.T) {
	c, key := server(t), name(t, "k")
	one, _, err := c.Session().CreateNoChecks(&api.SessionEntry{Name: "one"}, nil)
	check(t, err)
	two, _, err := c.Session().CreateNoChecks(&api.SessionEntry{Name: "two"}, nil)
	check(t, err)
	acquire := func(session string, want bool) {
		t.Helper()
		ok, _, err := server(t).KV().Acquire(&api.KVPair{Key: key, Value: []byte(session), Session: session, Flags: 3}, nil)
		check(t, err)
		equal(t, "acquire", ok, want)
	}
	acquire(one, true)
	acquire(one, true)
	acquire(two, false)
	ok, _, err := server(t).KV().Release(&api.KVPair{Key: key, Session: two}, nil)
	check(t, err)
	equal(t, "released by another", ok, false)
	ok, _, err = server(t).KV().Release(&api.KVPair{Key: key, Session: one}, nil)
	check(t, err)
	equal(t, "released", ok, true)
	acquire(two, true)
	kv, _, err := server(t).KV().Get(key, nil)
	if err != nil || kv.Session != two || kv.LockIndex != 2 || kv.Flags != 3 {
		t.Errorf("%+v, %v", kv, err)
	}
	sessions, _, err := server(t).Session().List(nil)
	check(t, err)
	there := 0
	for _, s := range sessions {
		if s.ID == one || s.ID == two {
			there++
		}
	}
	equal(t, "sessions listed", there, 2)
	for _, id := range []string{one, two} {
		_, err := server(t).Session().Destroy(id, nil)
		check(t, err)
	}
	if _, _, err := server(t).KV().Acquire(&api.KVPair{Key: key, Session: one}, nil); err == nil {
		t.Error("a session that has ended took a lock")
	}
}

// The verbs of transactions that TestTxn has not: of locks, of prefixes, and those that delete.
func TestTxnVerbs(t *testing.T) {
	c, p := server(t), name(t, "")
	session, _, err := c.Session().CreateNoChecks(&api.SessionEntry{}, nil)
	check(t, err)
	do := func(what string, want bool, ops ...*api.TxnOp) *api.TxnResponse {
		t.Helper()
		ok, res, _, err := server(t).Txn().Txn(ops, nil)
		if err != nil || ok != want {
			t.Fatalf("%s: %v, %v; %+v", what, ok, err, res)
		}
		return res
	}
	kv := func(verb api.KVOp, key string, adjust ...func(*api.KVTxnOp)) *api.TxnOp {
		op := &api.KVTxnOp{Verb: verb, Key: p + key, Value: []byte(verb)}
		for _, f := range adjust {
			f(op)
		}
		return &api.TxnOp{KV: op}
	}
	held := func(op *api.KVTxnOp) { op.Session = session }
	do("lock", true, kv(api.KVLock, "a", held), kv(api.KVCheckSession, "a", held), kv(api.KVSet, "b"))
	res := do("read", true, kv(api.KVGetTree, ""), kv(api.KVGetOrEmpty, "none"))
	if len(res.Results) != 3 || res.Results[0].KV.Session != session || string(res.Results[1].KV.Value) != "set" || res.Results[2].KV.Value != nil {
		t.Errorf("read: %+v", res.Results)
	}
	index := res.Results[1].KV.ModifyIndex
	at := func(n uint64) func(*api.KVTxnOp) { return func(op *api.KVTxnOp) { op.Index = n } }
	do("check-index", true, kv(api.KVCheckIndex, "b", at(index)))
	do("check-index of before", false, kv(api.KVCheckIndex, "b", at(index-1)))
	do("delete-cas of before", false, kv(api.KVDeleteCAS, "b", at(index-1)))
	do("unlock, delete-cas", true, kv(api.KVUnlock, "a", held), kv(api.KVDeleteCAS, "b", at(index)))
	do("check-session", false, kv(api.KVCheckSession, "a", held))
	do("delete", true, kv(api.KVDelete, "a"))
	do("delete-tree", true, kv(api.KVSet, "c"), kv(api.KVDeleteTree, ""), kv(api.KVCheckNotExists, "c"))

	node := api.Node{Node: p + "node", Address: "10.9.9.8"}
	svc := api.AgentService{ID: "s", Service: p + "svc", Port: 80}
	health := api.HealthCheck{Node: node.Node, CheckID: "c", Name: "c", ServiceID: "s", Status: api.HealthPassing}
	res = do("set", true,
		&api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeSet, Node: node}},
		&api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceSet, Node: node.Node, Service: svc}},
		&api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckSet, Check: health}})
	if len(res.Results) != 3 || res.Results[0].Node == nil || res.Results[1].Service == nil || res.Results[2].Check == nil {
		t.Fatalf("set: %+v", res.Results)
	}
	svc.ModifyIndex, svc.Port, health.ModifyIndex = res.Results[1].Service.ModifyIndex, 81, res.Results[2].Check.ModifyIndex
	stale := health
	stale.ModifyIndex--
	do("cas, of which one is of before", false,
		&api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceCAS, Node: node.Node, Service: svc}},
		&api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckDeleteCAS, Check: stale}})
	do("cas", true,
		&api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceCAS, Node: node.Node, Service: svc}},
		&api.TxnOp{Check: &api.CheckTxnOp{Verb: api.CheckDeleteCAS, Check: health}})
	res = do("get", true,
		&api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeGet, Node: node}},
		&api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceGet, Node: node.Node, Service: svc}})
	if len(res.Results) != 2 || res.Results[0].Node.Address != node.Address || res.Results[1].Service.Port != 81 {
		t.Errorf("get: %+v", res.Results)
	}
	do("delete", true, &api.TxnOp{Service: &api.ServiceTxnOp{Verb: api.ServiceDelete, Node: node.Node, Service: svc}},
		&api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeDelete, Node: node}})
	do("get what is gone", false, &api.TxnOp{Node: &api.NodeTxnOp{Verb: api.NodeGet, Node: node}})
	_, err = c.Session().Destroy(session, nil)
	check(t, err)
}
