package httpserver

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/httpserver/api"
)

// modelKV is a plain map that does to keys what the verbs of a transaction say.
type modelKV struct {
	keys map[string]api.KVPair
	rev  uint64
}

type modelOp struct {
	Verb    string
	Key     string
	Value   []byte `json:",omitempty"`
	Flags   uint64 `json:",omitempty"`
	Index   uint64 `json:",omitempty"`
	Session string `json:",omitempty"`
}

// run is one transaction: what it answers, and whether it was done.
func (m *modelKV) run(ops []modelOp) (results []api.KVPair, failed []int) {
	keys, wrote, next := maps.Clone(m.keys), false, m.rev+1
	results = []api.KVPair{}
	for i, op := range ops {
		kv, exists := keys[op.Key]
		kv.Key = op.Key
		tell := func(value bool) {
			kv := keys[op.Key]
			kv.Key = op.Key
			if !value {
				kv.Value = nil
			}
			results = append(results, kv)
		}
		put := func() {
			if was, ok := keys[op.Key]; ok && string(was.Value) == string(op.Value) && was.Flags == op.Flags && was.Session == kv.Session && was.LockIndex == kv.LockIndex {
				tell(false)
				return
			}
			if !exists {
				kv.CreateIndex = next
			}
			kv.Value, kv.Flags, kv.ModifyIndex, wrote = op.Value, op.Flags, next, true
			keys[op.Key] = kv
			tell(false)
		}
		remove := func(key string) {
			if _, ok := keys[key]; ok {
				delete(keys, key)
				wrote = true
			}
		}
		current := exists && op.Index == kv.ModifyIndex
		fails := false
		switch op.Verb {
		case "set":
			kv.LockIndex = 0
			put()
		case "cas":
			if fails = op.Index == 0 && exists || op.Index > 0 && !current; !fails {
				kv.LockIndex = 0
				put()
			}
		case "lock":
			if fails = kv.Session != "" && kv.Session != op.Session; !fails {
				if kv.Session == "" {
					kv.LockIndex++
				}
				kv.Session = op.Session
				put()
			}
		case "unlock":
			if fails = !exists || kv.Session != op.Session; !fails {
				kv.Session = ""
				put()
			}
		case "get":
			if fails = !exists; !fails {
				tell(true)
			}
		case "get-or-empty":
			tell(true)
		case "get-tree":
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				if strings.HasPrefix(key, op.Key) {
					results = append(results, keys[key])
				}
			}
		case "check-index":
			if fails = !current; !fails {
				tell(false)
			}
		case "check-session":
			if fails = !exists || kv.Session != op.Session; !fails {
				tell(false)
			}
		case "check-not-exists":
			fails = exists
		case "delete":
			remove(op.Key)
		case "delete-cas":
			if fails = exists && !current; !fails {
				remove(op.Key)
			}
		case "delete-tree":
			for _, key := range slices.Sorted(maps.Keys(keys)) {
				if strings.HasPrefix(key, op.Key) {
					remove(key)
				}
			}
		}
		if fails {
			failed = append(failed, i)
		}
	}
	if len(failed) > 0 {
		return nil, failed
	}
	if m.keys = keys; wrote {
		m.rev = next
	}
	return results, nil
}

// Transactions do to the keys, their locks and their indexes what a plain map does.
func TestTxnIsAMap(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/catalog/register", `{"Node":"n1","Address":"10.0.0.1"}`)
	var sessions []string
	for _, delay := range []string{"0s", "15s"} {
		var made struct{ ID string }
		if err := json.Unmarshal([]byte(h.ok("PUT", "/v1/session/create", fmt.Sprintf(`{"NodeChecks":[],"LockDelay":%q}`, delay)).body), &made); err != nil {
			t.Fatal(err)
		}
		sessions = append(sessions, made.ID)
	}
	verbs := []string{"set", "set", "cas", "cas", "lock", "lock", "unlock", "get", "get-or-empty", "get-tree",
		"check-index", "check-session", "check-not-exists", "delete", "delete-cas", "delete-tree"}
	rapid.Check(t, func(rt *rapid.T) {
		h.ok("DELETE", "/v1/kv/m/?recurse", "")
		h.ok("PUT", "/v1/kv/m/", "")
		var probe []api.KVPair
		h.get("/v1/kv/m/", &probe)
		h.ok("DELETE", "/v1/kv/m/", "")
		m := &modelKV{keys: map[string]api.KVPair{}, rev: probe[0].ModifyIndex + 1}
		for range rapid.IntRange(1, 12).Draw(rt, "transactions") {
			var ops []modelOp
			var body []map[string]modelOp
			for range rapid.IntRange(1, 5).Draw(rt, "operations") {
				op := modelOp{
					Verb: rapid.SampledFrom(verbs).Draw(rt, "verb"), Key: rapid.SampledFrom([]string{"m/a", "m/b", "m/b/c"}).Draw(rt, "key"),
					Flags: rapid.Uint64Range(0, 1).Draw(rt, "flags"), Session: rapid.SampledFrom(sessions).Draw(rt, "session"),
				}
				if rapid.Bool().Draw(rt, "value") {
					op.Value = []byte("v")
				}
				switch rapid.IntRange(0, 3).Draw(rt, "index") {
				case 0, 1:
					op.Index = m.keys[op.Key].ModifyIndex
				case 2:
					op.Index = rapid.SampledFrom([]uint64{1, m.rev + 7, 1 << 63, 1<<64 - 1}).Draw(rt, "other")
				}
				ops, body = append(ops, op), append(body, map[string]modelOp{"KV": op})
			}
			b, err := json.Marshal(body)
			if err != nil {
				rt.Fatal(err)
			}
			want, failed := m.run(ops)
			a := h.do(http.MethodPut, "/v1/txn", string(b))
			var got struct {
				Results []struct{ KV api.KVPair }
				Errors  []struct {
					OpIndex int
					What    string
				}
			}
			if err := json.Unmarshal([]byte(a.body), &got); err != nil {
				rt.Fatalf("%s: %d %s: %v", b, a.status, a.body, err)
			}
			var refused []int
			for _, e := range got.Errors {
				refused = append(refused, e.OpIndex)
				if strings.Contains(e.What, "index -1 ") {
					rt.Fatalf("%s: an error names an index that there is not: %s", b, e.What)
				}
			}
			if !slices.Equal(refused, failed) || (a.status == http.StatusOK) != (len(failed) == 0) {
				rt.Fatalf("%s\nof %v at %d\nanswers %d %s\nwant the operations %v to fail", b, m.keys, m.rev, a.status, a.body, failed)
			}
			if len(failed) == 0 {
				if len(got.Results) != len(want) {
					rt.Fatalf("%s answers %s\nwant %+v", b, a.body, want)
				}
				for i := range want {
					if !samePair(got.Results[i].KV, want[i]) {
						rt.Fatalf("%s answers %s\nits result %d should be %+v", b, a.body, i, want[i])
					}
				}
			}
			var all []api.KVPair
			if a := h.do("GET", "/v1/kv/m/?recurse", ""); a.status == http.StatusOK {
				if err := json.Unmarshal([]byte(a.body), &all); err != nil {
					rt.Fatal(err)
				}
			}
			same := len(all) == len(m.keys)
			for _, kv := range all {
				same = same && samePair(kv, m.keys[kv.Key])
			}
			if !same {
				rt.Fatalf("after %s there are %+v\nwant %+v", b, all, m.keys)
			}
		}
	})
}

func samePair(a, b api.KVPair) bool {
	return a.Key == b.Key && string(a.Value) == string(b.Value) && a.Flags == b.Flags && a.LockIndex == b.LockIndex &&
		a.Session == b.Session && a.CreateIndex == b.CreateIndex && a.ModifyIndex == b.ModifyIndex
}
