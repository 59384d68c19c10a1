package httpserver

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"herald/registry"
	"herald/registry/catalog"
	"herald/registry/session"
)

// txnState is what a transaction has read, with what its operations so far have made of it.
type txnState struct {
	view     view
	sessions *session.Sessions
	keep     int // the longest key that may be written, in bytes

	ranges    []registry.RangeRequest // what was read, in this order
	seen      []registry.KeyValue     // what was there, of the ranges of the same order
	counts    []int
	revisions registry.Revisions
	age       time.Duration
	readOnly  bool // no operation is one that writes
	blind     bool // no operation on a key asks what it was

	kvs   map[string]*txnEntry
	nodes map[string]*txnNodeState // by name, in lower case

	at      int // the operation under way
	ops     []registry.Op
	claims  []registry.Compare
	errors  []txnError
	results []txnResult
}

// txnResult spells a result once the transaction has been done.
type txnResult func(done *registry.TxnResult) (json.RawMessage, error)

// pending is a revision that the transaction under way is to make.
const pending = -1

// made is a revision, by what the transaction has made.
func made(rev int64, space registry.Space, done *registry.TxnResult) int64 {
	if rev == pending {
		return done.Revisions[space]
	}
	return rev
}

// expected is a revision, by what the transaction makes if nothing comes between: for a
// refusal, which names indexes but makes none.
func (t *txnState) expected(rev int64, space registry.Space) int64 {
	if rev == pending {
		return t.revisions[space] + 1
	}
	return rev
}

func (t *txnState) fail(format string, args ...any) {
	t.errors = append(t.errors, txnError{t.at, fmt.Sprintf(format, args...)})
}

// about are the keys that operations are about, but for those of the store's keys that are only
// written. readOnly says that none of them writes.
func about(ops []txnOp, blind bool) (ranges []registry.RangeRequest, readOnly bool) {
	add := func(space registry.Space, kr registry.KeyRange) {
		r := registry.RangeRequest{Space: space, KeyRange: kr, SkipCount: true}
		if !slices.Contains(ranges, r) {
			ranges = append(ranges, r)
		}
	}
	addNode := func(name string) {
		for _, kr := range catalog.RangesOfNode(name) {
			add(registry.SpaceCatalog, kr)
		}
	}
	readOnly = true
	for i := range ops {
		switch op := &ops[i]; {
		case op.KV != nil:
			readOnly = readOnly && txnReads[op.KV.Verb]
			if blind {
				continue
			}
			if strings.HasSuffix(op.KV.Verb, "-tree") {
				add(registry.SpaceKV, registry.Prefix(op.KV.Key))
			} else if op.KV.Key != "" {
				add(registry.SpaceKV, registry.One(op.KV.Key))
			}
		case op.Node != nil:
			readOnly = readOnly && op.Node.Verb == "get"
			addNode(op.Node.Node.Node)
		case op.Service != nil:
			readOnly = readOnly && op.Service.Verb == "get"
			addNode(op.Service.Node)
		case op.Check != nil:
			readOnly = readOnly && op.Check.Verb == "get"
			addNode(op.Check.Check.Node)
		}
	}
	return ranges, readOnly
}

// read reads what the operations are about, all at one moment.
func (t *txnState) read(ctx context.Context, store registry.Store, m mode, ops []txnOp) error {
	t.kvs, t.nodes = make(map[string]*txnEntry), make(map[string]*txnNodeState)
	t.blind = !slices.ContainsFunc(ops, func(op txnOp) bool { return op.KV != nil && !txnBlind[op.KV.Verb] })
	t.ranges, t.readOnly = about(ops, t.blind)
	look := registry.Txn{Then: make([]registry.Op, len(t.ranges))}
	for i := range t.ranges {
		if m == modeStale && t.readOnly {
			t.ranges[i].Consistency = registry.Stale
		}
		look.Then[i].Range = &t.ranges[i]
	}
	res, err := store.Txn(ctx, look)
	if err != nil {
		return err
	}
	t.revisions = res.Revisions
	for i := range t.ranges {
		found := res.Results[i].Range
		t.age = max(t.age, found.Age)
		t.seen = append(t.seen, found.KVs...)
		t.counts = append(t.counts, len(found.KVs))
		for j := range found.KVs {
			kv := &found.KVs[j]
			if t.ranges[i].Space == registry.SpaceKV {
				t.kvs[kv.Key] = &txnEntry{KeyValue: *kv, exists: true}
			} else if err := t.addRecord(kv); err != nil {
				return err
			}
		}
	}
	return nil
}

// compares hold as long as all that was read is as it was: each key is the version that was
// seen, and there are no newer ones.
func (t *txnState) compares() []registry.Compare {
	all := slices.Clone(t.claims)
	at := 0
	for i := range t.ranges {
		r := &t.ranges[i]
		for _, kv := range t.seen[at : at+t.counts[i]] {
			all = append(all, registry.Compare{Space: r.Space, KeyRange: registry.One(kv.Key), Target: registry.CompareMod, Int: kv.ModRevision})
		}
		at += t.counts[i]
		if r.IsOne() && t.counts[i] > 0 {
			continue
		}
		// Of a range without keys this says that there are none: it would be 0.
		newest := registry.Compare{Space: r.Space, KeyRange: r.KeyRange, Target: registry.CompareMod, Result: registry.Less, Int: t.revisions[r.Space] + 1}
		if t.counts[i] == 0 {
			newest.Result, newest.Int = registry.Equal, 0
		}
		all = append(all, newest)
	}
	return all
}
