package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// hashing is the service over a store.
func hashing(m registry.Store, c registry.Cluster) *maintenanceService {
	return newMaintenanceService(newCore(DefaultConfig(), &plugin.Host{Store: m, Cluster: c, Log: slog.New(slog.DiscardHandler)}))
}

// hashOf is what HashKV says of a revision.
func hashOf(t rapid.TB, s *maintenanceService, revision int64) *pb.HashKVResponse {
	a, err := s.HashKV(context.Background(), &pb.HashKVRequest{Revision: revision})
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// The hash of a revision stays what it was, whatever comes later and is compacted; it is the
// same on every server that has come this way; and it is another whenever anything
// of a key is.
func TestHashKVIsOfARevision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		first, second := storetest.Open(), storetest.Open()
		defer first.Close()
		defer second.Close()
		a, b := hashing(first, first), hashing(second, second)
		for _, m := range []*storetest.Memory{first, second} {
			if _, err := m.GrantLease(context.Background(), 7, time.Hour); err != nil {
				t.Fatal(err)
			}
		}
		hashes := map[int64]uint32{1: hashOf(t, a, 0).Hash}
		byHash := map[uint32]int64{hashes[1]: 1}
		lowest := int64(1)
		for range rapid.IntRange(1, 30).Draw(t, "writes") {
			key := rapid.StringMatching("[a-c]{1,2}").Draw(t, "key")
			op := registry.Op{Put: &registry.PutRequest{
				Key: key, Value: []byte(rapid.StringMatching("[a-c]{0,2}").Draw(t, "value")),
				Lease: rapid.SampledFrom([]registry.LeaseID{0, 7}).Draw(t, "lease"), Flags: rapid.Uint64Range(0, 2).Draw(t, "flags"),
			}}
			if rapid.IntRange(0, 3).Draw(t, "delete") == 0 {
				op = registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One(key)}}
			}
			for _, m := range []*storetest.Memory{first, second} {
				if _, err := m.Txn(context.Background(), registry.Txn{Then: []registry.Op{op}}); err != nil {
					t.Fatal(err)
				}
			}
			now := first.Status().Revisions[registry.SpaceKV]
			hash := hashOf(t, a, 0)
			if hash.HashRevision != now || hash.Header.Revision != now {
				t.Fatalf("the hash of now is of %d, of %d", hash.HashRevision, now)
			}
			// Each revision is unlike all others: its last write is, unless it was a deletion.
			if before, ok := byHash[hash.Hash]; ok && before != now && op.Put != nil {
				t.Fatalf("revisions %d and %d have one hash", before, now)
			}
			hashes[now], byHash[hash.Hash] = hash.Hash, now
			if rapid.IntRange(0, 5).Draw(t, "compact") == 0 {
				to := rapid.Int64Range(lowest, now).Draw(t, "to")
				if err := first.Compact(context.Background(), registry.SpaceKV, to); err == nil {
					lowest = to
				}
			}
		}
		for revision, want := range hashes {
			if got := hashOf(t, b, revision); got.Hash != want || got.HashRevision != revision || got.CompactRevision != -1 {
				t.Fatalf("elsewhere: revision %d: %v, want %d", revision, got, want)
			}
			got, err := a.HashKV(context.Background(), &pb.HashKVRequest{Revision: revision})
			switch {
			case revision < lowest:
				if !errors.Is(err, registry.ErrCompacted) {
					t.Fatalf("revision %d of %d: %v, %v", revision, lowest, got, err)
				}
			case err != nil || got.Hash != want:
				t.Fatalf("revision %d: %v, %v, want %d", revision, got, err, want)
			case lowest > 1 && got.CompactRevision != lowest:
				t.Fatalf("compacted to %d, want %d", got.CompactRevision, lowest)
			}
		}
	})
}

func TestHashOfNoKeysIsToldInJSON(t *testing.T) {
	h := open(t)
	for _, path := range []string{"/v3/maintenance/hash", "/v3/maintenance/hashkv"} {
		if code, body := h.post(path, `{}`); code != 200 || !strings.Contains(body, `"hash":`) {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
}

func TestHashKVThroughTheDoor(t *testing.T) {
	h := open(t)
	m, kv := pb.NewMaintenanceClient(h.conn), pb.NewKVClient(h.conn)
	for i := range 2*hashPage + 5 {
		put(t, h.store, fmt.Sprintf("k%05d", i), []byte("v"))
	}
	now := h.store.Status().Revisions[registry.SpaceKV]
	all, err := m.HashKV(t.Context(), &pb.HashKVRequest{})
	if err != nil || all.HashRevision != now || all.CompactRevision != -1 {
		t.Fatalf("%v, %v", all, err)
	}
	if a, err := m.HashKV(t.Context(), &pb.HashKVRequest{Revision: -3}); err != nil || a.Hash != all.Hash {
		t.Errorf("a negative revision: %v, %v", a, err)
	}
	if a, err := m.Hash(t.Context(), &pb.HashRequest{}); err != nil || a.Hash != all.Hash || a.Header.Revision != now {
		t.Errorf("Hash: %v, %v, want %d at %d", a, err, all.Hash, now)
	}
	// The last key, which is on the last page, counts.
	if _, err := kv.DeleteRange(t.Context(), &pb.DeleteRangeRequest{Key: fmt.Appendf(nil, "k%05d", 2*hashPage+4)}); err != nil {
		t.Fatal(err)
	}
	if a, err := m.HashKV(t.Context(), &pb.HashKVRequest{}); err != nil || a.Hash == all.Hash {
		t.Errorf("without the last key: %v, %v", a, err)
	}
	_, err = m.HashKV(t.Context(), &pb.HashKVRequest{Revision: now + 2})
	wantStatus(t, "a future revision", err, codes.OutOfRange, "etcdserver: mvcc: required revision is a future revision")
	if _, err := kv.Compact(t.Context(), &pb.CompactionRequest{Revision: now}); err != nil {
		t.Fatal(err)
	}
	_, err = m.HashKV(t.Context(), &pb.HashKVRequest{Revision: now - 1})
	wantStatus(t, "a compacted revision", err, codes.OutOfRange, "etcdserver: mvcc: required revision has been compacted")
	h.store.SetOutage(registry.ErrNoLeader)
	if a, err := m.HashKV(t.Context(), &pb.HashKVRequest{Revision: now}); err != nil || a.Hash != all.Hash || a.CompactRevision != now {
		t.Errorf("at the compaction, without a leader: %v, %v", a, err)
	}
}

// Whatever comes between the reads, what is told was all true at one moment: the revision was there,
// and the store was compacted to where it says.
func TestHashKVIsOfOneMoment(t *testing.T) {
	for at := int64(1); at <= 4; at++ {
		m := storetest.NewMemory(t)
		for i := range hashPage + 1 {
			put(t, m, fmt.Sprintf("k%05d", i), nil)
		}
		type moment struct{ revision, compacted int64 }
		moments := []moment{{m.Status().Revisions[registry.SpaceKV], neverCompacted}}
		store := &interrupted{Store: m, before: func(read int64) {
			if read != at {
				return
			}
			now := m.Status().Revisions[registry.SpaceKV]
			if err := m.Compact(t.Context(), registry.SpaceKV, now); err != nil {
				t.Error(err)
			}
			put(t, m, "a", nil)
			moments = append(moments, moment{now, now}, moment{now + 1, now})
		}}
		a := hashOf(t, hashing(store, m), 0)
		if !slices.ContainsFunc(moments, func(is moment) bool {
			return a.CompactRevision == is.compacted && is.compacted <= a.HashRevision && a.HashRevision <= is.revision
		}) {
			t.Errorf("before read %d: the hash of %d, compacted to %d; it was only ever %v", at, a.HashRevision, a.CompactRevision, moments)
		}
	}
}

// What is written while keys are read is not in the hash. A compaction meanwhile ends that of a
// given revision, and that of the current one is begun with again.
func TestHashKVWhileThereAreWrites(t *testing.T) {
	for _, c := range []struct {
		revision int64
		compacts int // how often, each time before the second page of an attempt
		code     codes.Code
	}{
		{revision: 0, compacts: 0},
		{revision: 0, compacts: 2},
		{revision: 0, compacts: 100, code: codes.OutOfRange},
		{revision: 2001, compacts: 0},
		{revision: 2001, compacts: 1, code: codes.OutOfRange},
	} {
		m := storetest.NewMemory(t)
		for i := range 2 * hashPage {
			put(t, m, fmt.Sprintf("k%05d", i), nil)
		}
		want := hashOf(t, hashing(m, m), 0).Hash
		compacts := 0
		store := &interrupted{Store: m, before: func(read int64) {
			if read%2 == 1 { // the second page's is even, until the last attempt has failed
				return
			}
			put(t, m, "k00000", []byte("later"))
			if compacts < c.compacts {
				compacts++
				if err := m.Compact(t.Context(), registry.SpaceKV, m.Status().Revisions[registry.SpaceKV]); err != nil {
					t.Error(err)
				}
			}
		}}
		a, err := hashing(store, m).HashKV(t.Context(), &pb.HashKVRequest{Revision: c.revision})
		wantStatus(t, fmt.Sprintf("%+v", c), statusOf(err), c.code, "")
		if err == nil && c.compacts == 0 && (a.Hash != want || a.HashRevision != 2001 || a.Header.Revision <= 2001) {
			t.Errorf("%+v: %v, want hash %d of 2001", c, a, want)
		}
		if err == nil && c.compacts > 0 && a.HashRevision <= 2001 {
			t.Errorf("%+v: %v, want the hash of a later revision", c, a)
		}
	}
}
