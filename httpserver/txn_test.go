package httpserver

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// txnAnswer is what PUT /v1/txn answers.
type txnAnswer struct {
	Results []struct {
		KV *struct {
			Key                      string
			Value                    []byte
			Flags                    uint64
			CreateIndex, ModifyIndex int64
		}
	}
	Errors []txnError
	Index  *uint64
}

func (h *harness) txn(t interface {
	Fatal(...any)
	Fatalf(string, ...any)
}, status int, ops ...map[string]any) (a txnAnswer) {
	list := make([]map[string]any, len(ops))
	for i, op := range ops {
		list[i] = map[string]any{"KV": op}
	}
	b, err := json.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	got := h.do("PUT", "/v1/txn", string(b))
	if err := json.Unmarshal([]byte(got.body), &a); err != nil || status != 0 && got.status != status {
		t.Fatalf("%s\nanswers %d %s (%v), want %d", b, got.status, got.body, err, status)
	}
	return a
}

// modelKey is a key of a model that knows nothing but what the API says of its verbs.
type modelKey struct {
	value string
	flags int
	index int64 // -1 while a transaction writes it
}

// modelTxn carries out operations on a copy of the keys. It returns the failing ones, and what
// it wrote.
func modelTxn(keys map[string]modelKey, ops []map[string]any) (after map[string]modelKey, failed []int) {
	after = maps.Clone(keys)
	for i, op := range ops {
		key := op["Key"].(string)
		have, there := after[key]
		index, _ := op["Index"].(int64)
		fails, sets, deletes := false, false, false
		switch op["Verb"] {
		case "set":
			sets = true
		case "cas":
			fails = index == 0 && there || index != 0 && (!there || have.index != index)
			sets = !fails
		case "get":
			fails = !there
		case "check-index":
			fails = !there || have.index != index
		case "check-not-exists":
			fails = there
		case "delete":
			deletes = true
		case "delete-cas":
			fails = there && have.index != index
			deletes = !fails
		case "delete-tree":
			maps.DeleteFunc(after, func(k string, _ modelKey) bool { return strings.HasPrefix(k, key) })
		}
		if fails {
			failed = append(failed, i)
		}
		if deletes {
			delete(after, key)
		}
		if sets {
			value, _ := base64.StdEncoding.DecodeString(op["Value"].(string))
			next := modelKey{value: string(value), flags: op["Flags"].(int), index: -1}
			if !there || next.value != have.value || next.flags != have.flags {
				after[key] = next
			}
		}
	}
	return after, failed
}

// TestTxnModel holds random transactions against a model: which operations fail, that then
// nothing is written, and what is there otherwise.
func TestTxnModel(t *testing.T) {
	h := open(t)
	round := 0
	rapid.Check(t, func(rt *rapid.T) {
		round++
		base := fmt.Sprintf("model/%d/", round)
		keys := map[string]modelKey{}
		for range rapid.IntRange(1, 8).Draw(rt, "transactions") {
			var ops []map[string]any
			for range rapid.IntRange(1, 5).Draw(rt, "operations") {
				key := base + rapid.SampledFrom([]string{"a", "b", "t/a", "t/b"}).Draw(rt, "key")
				op := map[string]any{
					"Verb": rapid.SampledFrom([]string{"set", "set", "cas", "get", "get-or-empty", "check-index", "check-not-exists", "delete", "delete-cas", "delete-tree"}).Draw(rt, "verb"),
					"Key":  key, "Flags": rapid.IntRange(0, 1).Draw(rt, "flags"),
					"Value": base64.StdEncoding.EncodeToString([]byte(rapid.SampledFrom([]string{"", "x", "y"}).Draw(rt, "value"))),
				}
				if op["Verb"] == "delete-tree" {
					op["Key"] = base + "t/"
				}
				if k, ok := keys[key]; ok && rapid.Bool().Draw(rt, "right index") {
					op["Index"] = k.index
				} else {
					op["Index"] = rapid.Int64Range(0, 3).Draw(rt, "index")
				}
				ops = append(ops, op)
			}
			after, failed := modelTxn(keys, ops)
			got := h.txn(rt, 0, ops...)
			var named []int
			for _, e := range got.Errors {
				named = append(named, e.OpIndex)
			}
			if !slices.Equal(named, failed) {
				rt.Fatalf("%v\nfails at %v (%v), want %v", ops, named, got.Errors, failed)
			}
			if len(failed) == 0 {
				keys = after
			}
			list := h.txn(rt, 200, map[string]any{"Verb": "get-tree", "Key": base})
			there := map[string]modelKey{}
			for _, r := range list.Results {
				there[r.KV.Key] = modelKey{string(r.KV.Value), int(r.KV.Flags), r.KV.ModifyIndex}
			}
			for k, v := range keys {
				if v.index == -1 {
					v.index = there[k].index
					keys[k] = v
				}
			}
			if !maps.Equal(there, keys) {
				rt.Fatalf("%v\nleaves %v, want %v", ops, there, keys)
			}
		}
	})
}

// Of transactions that count one key up at the same time none is lost, and none is done twice.
func TestTxnsBesideEachOther(t *testing.T) {
	h := open(t)
	h.txn(t, 200, map[string]any{"Verb": "set", "Key": "n", "Value": "AAAA"})
	const workers, each = 8, 10
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for done := 0; done < each; {
				got := h.do("PUT", "/v1/txn", `[{"KV":{"Verb":"get","Key":"n"}}]`)
				var a txnAnswer
				if err := json.Unmarshal([]byte(got.body), &a); err != nil || len(a.Results) != 1 {
					t.Errorf("%s: %v", got.body, err)
					return
				}
				v := a.Results[0].KV.Value
				n := int(v[0])<<16 | int(v[1])<<8 | int(v[2]) + 1
				next := base64.StdEncoding.EncodeToString([]byte{byte(n >> 16), byte(n >> 8), byte(n)})
				switch got := h.do("PUT", "/v1/txn", fmt.Sprintf(`[{"KV":{"Verb":"cas","Key":"n","Value":%q,"Index":%d}}]`, next, a.Results[0].KV.ModifyIndex)); got.status {
				case 200:
					done++
				case 409:
				default:
					t.Errorf("%d %s", got.status, got.body)
					return
				}
			}
		})
	}
	wg.Wait()
	v := h.txn(t, 200, map[string]any{"Verb": "get", "Key": "n"}).Results[0].KV.Value
	if n := int(v[1])<<8 | int(v[2]); n != workers*each {
		t.Errorf("counted to %d, want %d", n, workers*each)
	}
}

// A set that changes nothing moves no index, also among others; all that are written have one.
func TestTxnIndexes(t *testing.T) {
	h := open(t)
	first := h.txn(t, 200, map[string]any{"Verb": "set", "Key": "a", "Value": "YQ=="}, map[string]any{"Verb": "set", "Key": "b", "Value": "YQ=="})
	again := h.txn(t, 200, map[string]any{"Verb": "set", "Key": "a", "Value": "YQ=="}, map[string]any{"Verb": "set", "Key": "b", "Value": "Yg=="})
	a0, b0, a1, b1 := first.Results[0].KV, first.Results[1].KV, again.Results[0].KV, again.Results[1].KV
	if a0.ModifyIndex != b0.ModifyIndex || a1.ModifyIndex != a0.ModifyIndex || b1.ModifyIndex <= b0.ModifyIndex || b1.CreateIndex != b0.CreateIndex {
		t.Errorf("first %+v %+v, then %+v %+v", a0, b0, a1, b1)
	}
	var list []any
	if got := h.get("/v1/kv/b", &list); got != uint64(b1.ModifyIndex) {
		t.Errorf("index %d, want %d", got, b1.ModifyIndex)
	}
	if first.Index != nil || h.txn(t, 200, map[string]any{"Verb": "get", "Key": "a"}).Index == nil {
		t.Error("only what was read alone has an index")
	}
}

// A transaction that asks nothing of keys reads none, so that no other is ever in its way.
func TestTxnsThatOnlyWriteReadNothing(t *testing.T) {
	for _, tc := range []struct {
		verbs []string
		blind bool
	}{
		{[]string{"set"}, true},
		{[]string{"set", "delete", "delete-tree"}, true},
		{[]string{"set", "get"}, false},
		{[]string{"delete", "cas"}, false},
		{[]string{"set", "bogus"}, false},
	} {
		var ops []txnOp
		for _, verb := range tc.verbs {
			ops = append(ops, txnOp{KV: &txnKV{Verb: verb, Key: "k"}})
		}
		h := open(t)
		var s txnState
		if err := s.read(t.Context(), h.store, modeDefault, ops); err != nil {
			t.Fatal(err)
		}
		if got := len(s.ranges) == 0; got != tc.blind || len(s.compares()) == 0 != tc.blind {
			t.Errorf("%v reads %v and compares %v", tc.verbs, s.ranges, s.compares())
		}
	}
}
