package grpcserver

import (
	"cmp"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
)

// touched is what a list of operations writes. Each operation of the list is a party; all
// that a nested transaction does, in either branch, is one party's.
type touched struct {
	puts    []touchedKey
	deletes []touchedRange
}

type touchedKey struct {
	key   string
	party int
}

// touchedRange is of the keys from start up to end, which is not in it.
type touchedRange struct {
	start, end string
	party      int
}

// touchedBy returns what a list of operations writes. It fails if two parties put one key,
// or one puts what another deletes. The branches of a nested transaction may write the
// same key, since one alone will run.
func touchedBy(ops []*pb.RequestOp) (touched, error) {
	var all touched
	for party, op := range ops {
		switch op := op.Request.(type) {
		case *pb.RequestOp_RequestPut:
			all.puts = append(all.puts, touchedKey{string(op.RequestPut.Key), party})
		case *pb.RequestOp_RequestDeleteRange:
			all.delete(op.RequestDeleteRange, party)
		case *pb.RequestOp_RequestTxn:
			for _, branch := range [][]*pb.RequestOp{op.RequestTxn.Success, op.RequestTxn.Failure} {
				t, err := touchedBy(branch)
				if err != nil {
					return touched{}, err
				}
				all.add(t, party)
			}
		}
	}
	if all.conflict() {
		return touched{}, rpctypes.ErrGRPCDuplicateKey
	}
	return all, nil
}

// delete notes a deletion. One without an upper bound counts for nothing, as with etcd, to
// which its end lies below its start here: so all keys can be replaced in one transaction.
func (t *touched) delete(r *pb.DeleteRangeRequest, party int) {
	keys := keyRange(r.Key, r.RangeEnd)
	switch {
	case keys.IsOne():
		t.deletes = append(t.deletes, touchedRange{keys.Start, keys.Start + "\x00", party})
	case !keys.Unbounded() && !keys.Empty():
		t.deletes = append(t.deletes, touchedRange{keys.Start, keys.End, party})
	}
}

// add makes everything in other a party's.
func (t *touched) add(other touched, party int) {
	for _, p := range other.puts {
		t.puts = append(t.puts, touchedKey{p.key, party})
	}
	for _, d := range other.deletes {
		d.party = party
		t.deletes = append(t.deletes, d)
	}
}

// conflict reports whether a key is put by two parties, or put by one and deleted by
// another. Keys and ranges are gone through once, in order; of the ranges that began,
// those two of different parties that reach furthest can say it of any key.
func (t *touched) conflict() bool {
	slices.SortFunc(t.puts, func(a, b touchedKey) int { return strings.Compare(a.key, b.key) })
	slices.SortFunc(t.deletes, func(a, b touchedRange) int { return cmp.Compare(a.start, b.start) })
	var far, second *touchedRange
	begun := 0
	for i, p := range t.puts {
		if i > 0 && t.puts[i-1].key == p.key && t.puts[i-1].party != p.party {
			return true
		}
		for ; begun < len(t.deletes) && t.deletes[begun].start <= p.key; begun++ {
			d := &t.deletes[begun]
			switch {
			case far == nil || far.party == d.party && d.end >= far.end:
				far = d
			case far.party == d.party:
			case d.end >= far.end:
				far, second = d, far
			case second == nil || d.end >= second.end:
				second = d
			}
		}
		for _, d := range []*touchedRange{far, second} {
			if d != nil && d.party != p.party && p.key < d.end {
				return true
			}
		}
	}
	return false
}
