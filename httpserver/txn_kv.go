package httpserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"

	"herald/registry"
	"herald/registry/session"
)

// txnKV is an operation on a key, or with a verb that ends in -tree on all below it.
type txnKV struct {
	Verb    string
	Key     string
	Value   []byte
	Flags   uint64
	Index   uint64
	Session string
}

// txnReads are the verbs that write nothing. One that is not known writes nothing either.
var txnReads = map[string]bool{
	"get": true, "get-tree": true, "get-or-empty": true, "check-index": true, "check-session": true, "check-not-exists": true,
}

// txnBlind are the verbs whose effect does not depend on what a key was. A transaction that
// has no others on keys is never in the way of another.
var txnBlind = map[string]bool{"set": true, "delete": true, "delete-tree": true}

// txnEntry is a key in the middle of a transaction.
type txnEntry struct {
	registry.KeyValue // its revisions are pending if the transaction has written it
	exists            bool
}

func (t *txnState) entry(key string) *txnEntry {
	e := t.kvs[key]
	if e == nil {
		e = &txnEntry{KeyValue: registry.KeyValue{Key: key}}
		t.kvs[key] = e
	}
	return e
}

// tree are the keys below a prefix, in order.
func (t *txnState) tree(prefix string) []*txnEntry {
	var all []*txnEntry
	for key, e := range t.kvs {
		if e.exists && strings.HasPrefix(key, prefix) {
			all = append(all, e)
		}
	}
	slices.SortFunc(all, func(a, b *txnEntry) int { return strings.Compare(a.Key, b.Key) })
	return all
}

// tell adds a key as it now is to the results, without its value unless it was asked for.
func (t *txnState) tell(e *txnEntry, value bool) {
	kv := e.KeyValue
	if !value {
		kv.Value = nil
	}
	t.results = append(t.results, func(done *registry.TxnResult) (json.RawMessage, error) {
		kv.CreateRevision, kv.ModRevision = made(kv.CreateRevision, registry.SpaceKV, done), made(kv.ModRevision, registry.SpaceKV, done)
		return append(appendKV([]byte(`{"KV":`), &kv, false), '}'), nil
	})
}

func (t *txnState) runKV(ctx context.Context, op *txnKV) error {
	if op.Key == "" && !strings.HasSuffix(op.Verb, "-tree") {
		t.fail("Must provide key")
		return nil
	}
	if t.blind {
		t.runBlind(op)
		return nil
	}
	e := t.entry(op.Key)
	// What was written by this transaction has no index yet that anyone could know.
	current := e.exists && op.Index > 0 && op.Index <= math.MaxInt64 && int64(op.Index) == e.ModRevision
	switch op.Verb {
	case "set":
		t.put(e, op)
	case "cas":
		if op.Index == 0 && e.exists || op.Index > 0 && !current {
			t.fail("failed to set key %q, index is stale", op.Key)
			return nil
		}
		t.put(e, op)
	case "lock", "unlock":
		return t.runLock(ctx, e, op)
	case "get":
		if !e.exists {
			t.fail("key %q doesn't exist", op.Key)
			return nil
		}
		t.tell(e, true)
	case "get-or-empty":
		t.tell(e, true)
	case "get-tree":
		for _, e := range t.tree(op.Key) {
			t.tell(e, true)
		}
	case "check-index":
		switch {
		case !e.exists:
			t.fail("failed to check index, key %q doesn't exist", op.Key)
		case !current:
			t.fail("failed index check for key %q, current modify index %d != %d", op.Key, t.expected(e.ModRevision, registry.SpaceKV), op.Index)
		default:
			t.tell(e, false)
		}
	case "check-session":
		switch held := holderOf(e); {
		case op.Session == "":
			t.fail("missing session")
		case !e.exists:
			t.fail("failed to check session, key %q doesn't exist", op.Key)
		case held != op.Session:
			t.fail("failed session check for key %q, current session %q != %q", op.Key, held, op.Session)
		default:
			t.tell(e, false)
		}
	case "check-not-exists":
		if e.exists {
			t.fail("key %q exists", op.Key)
		}
	case "delete":
		t.remove(e)
	case "delete-cas":
		if e.exists && !current {
			t.fail("failed to delete key %q, index is stale", op.Key)
			return nil
		}
		t.remove(e)
	case "delete-tree":
		for _, e := range t.tree(op.Key) {
			*e = txnEntry{KeyValue: registry.KeyValue{Key: e.Key}}
		}
		t.delete(registry.Prefix(op.Key))
	default:
		t.fail("unknown KV operation: %s", op.Verb)
	}
	return nil
}

func holderOf(e *txnEntry) string {
	if e.Lock.Holder == 0 {
		return ""
	}
	return string(session.IDOf(e.Lock.Holder))
}

// request is the put that an operation comes to.
func (op *txnKV) request() registry.PutRequest {
	return registry.PutRequest{
		Space: registry.SpaceKV, Key: op.Key, Value: op.Value, Flags: op.Flags, Lock: registry.LockForget, IfChanged: true,
	}
}

// runBlind carries out an operation of txnBlind on a key that was not read. What a set leaves is
// read behind it.
func (t *txnState) runBlind(op *txnKV) {
	switch op.Verb {
	case "delete":
		t.delete(registry.One(op.Key))
	case "delete-tree":
		t.delete(registry.Prefix(op.Key))
	default:
		if !t.fits(op.Key) {
			return
		}
		put := op.request()
		at := len(t.ops) + 1
		t.ops = append(t.ops, registry.Op{Put: &put}, registry.Op{Range: &registry.RangeRequest{
			Space: registry.SpaceKV, KeyRange: registry.One(op.Key), KeysOnly: true,
		}})
		t.results = append(t.results, func(done *registry.TxnResult) (json.RawMessage, error) {
			return append(appendKV([]byte(`{"KV":`), &done.Results[at].Range.KVs[0], false), '}'), nil
		})
	}
}

func (t *txnState) fits(key string) bool {
	if len(key) > t.keep {
		t.fail("key of %d bytes is too large, max size: %d bytes; see the HTTP door's setting max_key_bytes", len(key), t.keep)
		return false
	}
	return true
}

// put writes a key without regard to its lock, which is advisory.
func (t *txnState) put(e *txnEntry, op *txnKV) {
	if !t.fits(op.Key) {
		return
	}
	put := op.request()
	t.write(e, op, registry.Lock{Holder: e.Lock.Holder})
	t.ops = append(t.ops, registry.Op{Put: &put})
	t.tell(e, false)
}

// write makes of a key what a put does that leaves its lock as given. One that changes
// nothing moves no index.
func (t *txnState) write(e *txnEntry, op *txnKV, lock registry.Lock) {
	next := registry.KeyValue{Key: op.Key, Value: op.Value, Flags: op.Flags, Lock: lock, CreateRevision: pending, ModRevision: pending}
	if e.exists {
		next.CreateRevision = e.CreateRevision
		if bytes.Equal(e.Value, op.Value) && e.Flags == op.Flags && e.Lock == lock && e.Lease == 0 {
			return
		}
	}
	e.KeyValue, e.exists = next, true
}

func (t *txnState) remove(e *txnEntry) {
	*e = txnEntry{KeyValue: registry.KeyValue{Key: e.Key}}
	t.delete(registry.One(e.Key))
}

func (t *txnState) delete(keys registry.KeyRange) {
	t.ops = append(t.ops,
		registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceKV, KeyRange: keys}},
		registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: session.Delays(keys)}},
	)
}

// runLock takes or frees a key's lock.
func (t *txnState) runLock(ctx context.Context, e *txnEntry, op *txnKV) error {
	if op.Session == "" {
		t.fail("missing session")
		return nil
	}
	if op.Verb == "unlock" {
		if !e.exists || holderOf(e) != op.Session {
			t.fail("failed to unlock key %q, lock isn't held, or is held by another session", op.Key)
			return nil
		}
		t.write(e, op, registry.Lock{Count: e.Lock.Count})
		t.ops = append(t.ops, session.Free(op.request())...)
		t.tell(e, false)
		return nil
	}
	claim, err := t.sessions.Claim(ctx, session.ID(op.Session), op.Key)
	switch {
	case errors.Is(err, session.ErrNotFound):
		t.fail("invalid session %q", op.Session)
		return nil
	case err != nil:
		return err
	}
	t.claims = append(t.claims, claim.Compares...)
	held := e.Lock.Holder
	switch {
	case held == claim.Holder:
		put := op.request()
		put.Lock, put.Holder = registry.LockAcquire, claim.Holder
		t.write(e, op, e.Lock)
		t.ops = append(t.ops, registry.Op{Put: &put})
	case held != 0:
		t.fail("failed to lock key %q, lock is already held", op.Key)
		return nil
	case claim.Delayed:
		t.fail("failed to lock key %q due to lock delay", op.Key)
		return nil
	default:
		t.write(e, op, registry.Lock{Holder: claim.Holder, Count: e.Lock.Count + 1})
		t.ops = append(t.ops, claim.Take(op.request())...)
	}
	t.tell(e, false)
	return nil
}
