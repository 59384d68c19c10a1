package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

// patience is how long the suite waits for what must come: long enough for a
// loaded machine, since it is only ever waited out by a store that fails.
const patience = 20 * time.Second

// Run checks that a store does what package registry says. open gives a store that
// is empty, ready and the suite's alone, and sees to its closing when its test ends;
// it is called for many stores, some at the same time.
//
// A store whose limit on the size of writes is not DefaultMaxRequestBytes tells it with a
// method MaxRequestBytes() int.
func Run(t *testing.T, open func(t *testing.T) registry.Store) {
	for _, part := range []struct {
		name  string
		cases []testCase
	}{
		{"Revisions", revisionCases},
		{"Range", rangeCases},
		{"LastChange", lastChangeCases},
		{"Txn", txnCases},
		{"Compare", compareCases},
		{"Put", putCases},
		{"Lock", lockCases},
		{"Lease", leaseCases},
		{"Expiry", expiryCases},
		{"Compact", compactCases},
		{"Watch", watchCases},
		{"SlowWatch", slowWatchCases},
		{"Limits", limitCases},
		{"Caller", callerCases},
		{"Concurrency", concurrencyCases},
	} {
		t.Run(part.name, func(t *testing.T) {
			for _, c := range part.cases {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(newSubject(t, open))
				})
			}
		})
	}
}

// testCase is one thing that a store must do.
type testCase struct {
	name string
	run  func(s *subject)
}

// subject is a store under test. Its methods fail the test where the store fails.
type subject struct {
	*testing.T
	registry.Store
	ctx context.Context
}

func newSubject(t *testing.T, open func(t *testing.T) registry.Store) *subject {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	t.Cleanup(cancel)
	return &subject{T: t, Store: open(t), ctx: ctx}
}

// do runs operations as one transaction.
func (s *subject) do(ops ...registry.Op) registry.TxnResult {
	s.Helper()
	return s.txn(registry.Txn{Then: ops})
}

func (s *subject) txn(t registry.Txn) registry.TxnResult {
	s.Helper()
	res, err := s.Txn(s.ctx, t)
	if err != nil {
		s.Fatalf("Txn(%+v): %v", t, err)
	}
	return res
}

// fails checks that a transaction of the operations fails, and how.
func (s *subject) fails(want error, ops ...registry.Op) error {
	s.Helper()
	_, err := s.Txn(s.ctx, registry.Txn{Then: ops})
	s.isError("Txn", err, want)
	return err
}

func (s *subject) isError(what string, err, want error) {
	s.Helper()
	if !errors.Is(err, want) {
		s.Errorf("%s: got error %v, want %v", what, err, want)
	}
}

// put puts a key of the kv space.
func (s *subject) put(key, value string) registry.PutResult {
	s.Helper()
	return s.putAs(registry.PutRequest{Key: key, Value: []byte(value)})
}

func (s *subject) putAs(p registry.PutRequest) registry.PutResult {
	s.Helper()
	res, err := registry.Put(s.ctx, s, p)
	if err != nil {
		s.Fatalf("Put(%+v): %v", p, err)
	}
	return res
}

// del deletes a range of the kv space.
func (s *subject) del(keys registry.KeyRange) registry.DeleteResult {
	s.Helper()
	res, err := registry.Delete(s.ctx, s, registry.DeleteRequest{KeyRange: keys})
	if err != nil {
		s.Fatalf("Delete(%+v): %v", keys, err)
	}
	return res
}

func (s *subject) read(r registry.RangeRequest) registry.RangeResult {
	s.Helper()
	res, err := s.Range(s.ctx, r)
	if err != nil {
		s.Fatalf("Range(%+v): %v", r, err)
	}
	return res
}

// get reads one key of the kv space, false if it does not exist.
func (s *subject) get(key string) (registry.KeyValue, bool) {
	s.Helper()
	res := s.read(registry.RangeRequest{KeyRange: registry.One(key)})
	if len(res.KVs) == 0 {
		return registry.KeyValue{}, false
	}
	return res.KVs[0], true
}

// mustGet is get for a key that exists.
func (s *subject) mustGet(key string) registry.KeyValue {
	s.Helper()
	kv, ok := s.get(key)
	if !ok {
		s.Fatalf("key %q does not exist", key)
	}
	return kv
}

// holds checks the keys and values of the kv space: "a=1 b=2".
func (s *subject) holds(want string) {
	s.Helper()
	s.equal("the keys", showKVs(s.read(registry.RangeRequest{KeyRange: registry.All()}).KVs), want)
}

// revisionIs checks the current revision of a space.
func (s *subject) revisionIs(space registry.Space, want int64) {
	s.Helper()
	res := s.read(registry.RangeRequest{Space: space, KeyRange: registry.All(), CountOnly: true})
	if res.Revision != want {
		s.Errorf("revision of space %v: got %d, want %d", space, res.Revision, want)
	}
}

func (s *subject) equal(what string, got, want any) {
	s.Helper()
	if got != want {
		s.Errorf("%s: got %+v, want %+v", what, got, want)
	}
}

func (s *subject) grant(ttl time.Duration) registry.LeaseID {
	s.Helper()
	l, err := s.GrantLease(s.ctx, 0, ttl)
	if err != nil {
		s.Fatalf("GrantLease(%v): %v", ttl, err)
	}
	return l.ID
}

func (s *subject) revoke(ids ...registry.LeaseID) {
	s.Helper()
	if _, err := s.RevokeLease(s.ctx, ids...); err != nil {
		s.Fatalf("RevokeLease(%v): %v", ids, err)
	}
}

func (s *subject) compact(space registry.Space, rev int64) {
	s.Helper()
	if err := s.Compact(s.ctx, space, rev); err != nil {
		s.Fatalf("Compact(%v, %d): %v", space, rev, err)
	}
}

// isCompacted checks that err is a CompactedError that names the lowest revision.
func (s *subject) isCompacted(what string, err error, space registry.Space, lowest int64) {
	s.Helper()
	s.isError(what, err, registry.ErrCompacted)
	var compacted *registry.CompactedError
	if !errors.As(err, &compacted) {
		s.Errorf("%s: got %v, want a *CompactedError", what, err)
	} else if compacted.Lowest != lowest || compacted.Space != space {
		s.Errorf("%s: got %+v, want the lowest revision of space %v to be %d", what, *compacted, space, lowest)
	}
}

func (s *subject) watch(r registry.WatchRequest) registry.Watcher {
	s.Helper()
	w, err := s.Watch(s.ctx, r)
	if err != nil {
		s.Fatalf("Watch(%+v): %v", r, err)
	}
	s.Cleanup(w.Close)
	return w
}

// next returns n commits of a watcher, fewer only if the store fails.
func (s *subject) next(w registry.Watcher, n int) []registry.Commit {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	var commits []registry.Commit
	for len(commits) < n {
		more, err := w.Next(ctx)
		if err != nil {
			s.Fatalf("Next, after %q: %v", showCommits(commits), err)
		}
		commits = append(commits, more...)
	}
	return commits
}

// sees checks the next commits of a watcher: "2:a=1 3:b=2,-c".
func (s *subject) sees(w registry.Watcher, want string) {
	s.Helper()
	s.equal("Next", showCommits(s.next(w, len(strings.Fields(want)))), want)
}

// nextFails returns what Next fails with, and what came before that.
func (s *subject) nextFails(w registry.Watcher) ([]registry.Commit, error) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.ctx, patience)
	defer cancel()
	var commits []registry.Commit
	for {
		more, err := w.Next(ctx)
		if ctx.Err() != nil {
			s.Fatalf("Next does not end; it returned %q", showCommits(commits))
		}
		if err != nil {
			return commits, err
		}
		commits = append(commits, more...)
	}
}

// eventually waits for something that must come to be.
func (s *subject) eventually(what string, is func() bool) {
	s.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	giveUp := time.After(patience)
	for !is() {
		select {
		case <-tick.C:
		case <-giveUp:
			s.Fatalf("%s: not after %v", what, patience)
		}
	}
}

func op[R any](r R) registry.Op {
	switch r := any(r).(type) {
	case registry.PutRequest:
		return registry.Op{Put: &r}
	case registry.DeleteRequest:
		return registry.Op{Delete: &r}
	case registry.RangeRequest:
		return registry.Op{Range: &r}
	case registry.Txn:
		return registry.Op{Txn: &r}
	case registry.Compare:
		return registry.Op{Require: &r}
	default:
		panic(fmt.Sprintf("storetest: %T is not an operation", r))
	}
}

// putOp, deleteOp and readOp are operations on one key of the kv space.
func putOp(key, value string) registry.Op {
	return op(registry.PutRequest{Key: key, Value: []byte(value)})
}

func deleteOp(key string) registry.Op {
	return op(registry.DeleteRequest{KeyRange: registry.One(key)})
}

func readOp(key string) registry.Op {
	return op(registry.RangeRequest{KeyRange: registry.One(key)})
}

func showKVs(kvs []registry.KeyValue) string {
	all := make([]string, len(kvs))
	for i, kv := range kvs {
		all[i] = kv.Key + "=" + string(kv.Value)
	}
	return strings.Join(all, " ")
}

func showKeys(keys []registry.LeasedKey) string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.Space.String() + "/" + k.Key
	}
	return strings.Join(all, " ")
}

func showCommits(commits []registry.Commit) string {
	all := make([]string, len(commits))
	for i, c := range commits {
		events := make([]string, len(c.Events))
		for j, e := range c.Events {
			events[j] = e.KV.Key + "=" + string(e.KV.Value)
			if e.Type == registry.EventDelete {
				events[j] = "-" + e.KV.Key
			}
		}
		all[i] = fmt.Sprintf("%d:%s", c.Revision, strings.Join(events, ","))
	}
	return strings.Join(all, " ")
}

func sameKV(a, b registry.KeyValue) bool {
	return slices.Equal(a.Value, b.Value) && a.Key == b.Key && a.CreateRevision == b.CreateRevision &&
		a.ModRevision == b.ModRevision && a.Version == b.Version && a.Lease == b.Lease && a.Flags == b.Flags && a.Lock == b.Lock
}

// is checks every field of a key.
func (s *subject) is(what string, got, want registry.KeyValue) {
	s.Helper()
	if !sameKV(got, want) {
		s.Errorf("%s:\ngot  %+v\nwant %+v", what, got, want)
	}
}
