package grpcserver

import (
	"fmt"
	"slices"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/storetest"
)

// recorded is everything that was written to a store, as watches ought to tell it.
type recorded struct {
	keys     map[string]*mvccpb.KeyValue
	commits  [][]*mvccpb.Event // of revision 2 and after, with prev_kv
	compacts []int64
}

func (m *recorded) revision() int64 { return int64(len(m.commits)) + 1 }

// apply notes a transaction, whose operations are of different keys.
func (m *recorded) apply(ops []registry.Op) {
	var events []*mvccpb.Event
	rev := m.revision() + 1
	for _, op := range ops {
		switch {
		case op.Put != nil:
			prev := m.keys[op.Put.Key]
			kv := &mvccpb.KeyValue{Key: []byte(op.Put.Key), Value: op.Put.Value, CreateRevision: rev, ModRevision: rev, Version: 1}
			if prev != nil {
				kv.CreateRevision, kv.Version = prev.CreateRevision, prev.Version+1
			}
			m.keys[op.Put.Key] = kv
			events = append(events, &mvccpb.Event{Kv: kv, PrevKv: prev})
		case m.keys[op.Delete.Start] != nil:
			k := op.Delete.Start
			events = append(events, &mvccpb.Event{Type: mvccpb.Event_DELETE, Kv: &mvccpb.KeyValue{Key: []byte(k), ModRevision: rev}, PrevKv: m.keys[k]})
			delete(m.keys, k)
		}
	}
	if events != nil {
		m.commits = append(m.commits, events)
	}
}

// told is one response: the events of a watch's wish in words, by revision.
type told struct {
	revision int64
	events   []string
}

// wanted is what a watch is to be told from one revision on.
func (m *recorded) wanted(r *pb.WatchCreateRequest, start int64) []told {
	var all []told
	for i, events := range m.commits {
		t := told{revision: int64(i) + 2}
		for _, e := range events {
			e := &mvccpb.Event{Type: e.Type, Kv: e.Kv, PrevKv: e.PrevKv}
			if !r.PrevKv {
				e.PrevKv = nil
			}
			filter := pb.WatchCreateRequest_NOPUT
			if e.Type == mvccpb.Event_DELETE {
				filter = pb.WatchCreateRequest_NODELETE
			}
			if keyRange(r.Key, r.RangeEnd).Contains(string(e.Kv.Key)) && !slices.Contains(r.Filters, filter) {
				t.events = append(t.events, describeEvent(e))
			}
		}
		if t.revision >= start && t.events != nil {
			all = append(all, t)
		}
	}
	return all
}

// judgedWatch is what a client knows of one watch.
type judgedWatch struct {
	request *pb.WatchCreateRequest
	start   int64 // the first revision that is to be seen
	told    []told
	upTo    int64 // what it was told that it has seen
	gone    bool
}

// judge reads what a stream's client got, and says what is wrong with it.
type judge struct {
	*recorded
	created []*pb.WatchCreateRequest // in the order of their answers
	watches map[int64]*judgedWatch
	n       int
	highest int64 // revision in any header
}

func (j *judge) judge(r *pb.WatchResponse) error {
	rev := r.Header.GetRevision()
	before := j.highest
	j.highest = max(j.highest, rev)
	if r.Created {
		w := &judgedWatch{request: j.created[j.n], start: j.created[j.n].StartRevision}
		j.n++
		if w.start == 0 {
			w.start = rev + 1
		}
		w.upTo = min(rev, w.start-1)
		if old := j.watches[r.WatchId]; old != nil && !old.gone {
			return fmt.Errorf("id %d is given twice", r.WatchId)
		}
		j.watches[r.WatchId] = w
		return nil
	}
	if r.WatchId == noWatch {
		if rev < before {
			return fmt.Errorf("progress at %d, and the stream was told %d before", rev, before)
		}
		for id, w := range j.watches {
			if w.gone {
				continue
			}
			if w.start > rev+1 {
				return fmt.Errorf("progress at %d, and watch %d starts at %d", rev, id, w.start)
			}
			// Everything up to rev has been told: what comes later is checked against it.
			w.upTo = max(w.upTo, rev)
			if err := j.complete(id, w, rev); err != nil {
				return fmt.Errorf("progress at %d: %w", rev, err)
			}
		}
		return nil
	}
	w := j.watches[r.WatchId]
	if w == nil || w.gone {
		return fmt.Errorf("a response for watch %d, which is none", r.WatchId)
	}
	if r.Canceled {
		w.gone = true
		if r.CompactRevision != 0 {
			if !slices.Contains(j.compacts, r.CompactRevision) {
				return fmt.Errorf("watch %d ends by a compaction at %d, and there was none", r.WatchId, r.CompactRevision)
			}
			if w.upTo >= r.CompactRevision-1 {
				return fmt.Errorf("watch %d ends by the compaction at %d, and had seen all up to %d", r.WatchId, r.CompactRevision, w.upTo)
			}
		}
		return nil
	}
	if len(r.Events) == 0 || r.Fragment {
		return fmt.Errorf("%s: no such answer was to come", describeResponse(r))
	}
	for _, e := range r.Events {
		if e.Kv.ModRevision <= w.upTo {
			return fmt.Errorf("watch %d, which has seen all up to %d: %s", r.WatchId, w.upTo, describeResponse(r))
		}
		if n := len(w.told); n == 0 || w.told[n-1].revision != e.Kv.ModRevision {
			w.told = append(w.told, told{revision: e.Kv.ModRevision})
		}
		last := &w.told[len(w.told)-1]
		last.events = append(last.events, describeEvent(e))
	}
	// A revision is whole, so that the next response begins after it.
	if last := r.Events[len(r.Events)-1].Kv.ModRevision; rev < last {
		return fmt.Errorf("watch %d: the header's revision is below the events': %s", r.WatchId, describeResponse(r))
	}
	w.upTo = rev
	return nil
}

// complete says whether a watch has been told all up to a revision; and nothing else, in order.
func (j *judge) complete(id int64, w *judgedWatch, upTo int64) error {
	var want []told
	for _, t := range j.wanted(w.request, w.start) {
		if t.revision <= upTo {
			want = append(want, t)
		}
	}
	got := w.told
	for i := range got {
		if got[i].revision > upTo {
			got = got[:i]
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		return fmt.Errorf("watch %d %v, from %d, up to %d:\n\tgot  %v\n\twant %v", id, w.request, w.start, upTo, got, want)
	}
	return nil
}

// Whatever clients write, compact, watch, cancel and ask: each watch is told what it asked
// for, each event once, in order and whole revisions together, and no word of progress
// runs ahead of an event.
func TestWatchModel(t *testing.T) {
	keys := []string{"a", "aa", "b", "c"}
	ranges := []registry.KeyRange{registry.One("a"), registry.One("b"), registry.Prefix("a"), registry.All(), {Start: "aa", End: "c"}}
	rapid.Check(t, func(rt *rapid.T) {
		store := storetest.Open()
		defer store.Close()
		h := openOver(t, store)
		answers := make(chan *pb.WatchResponse, 10_000) // more than there can be
		defer func() {
			h.conn.Close()
			for range answers { // whoever reads the stream after this must be alone
			}
			if err := h.stop(); err != nil {
				rt.Error(err)
			}
		}()
		w := h.watch()
		m := &recorded{keys: map[string]*mvccpb.KeyValue{}}
		j := &judge{recorded: m, watches: map[int64]*judgedWatch{}}
		go func() {
			defer close(answers)
			for {
				r, err := w.stream.Recv()
				if err != nil {
					return
				}
				answers <- r
			}
		}()

		write := func(ops ...registry.Op) {
			m.apply(ops)
			if got := h.mustTxn(ops...); got != m.revision() {
				rt.Fatalf("the store is at revision %d, the model at %d", got, m.revision())
			}
		}
		create := func(r *pb.WatchCreateRequest) {
			j.created = append(j.created, r)
			w.askCreate(r)
		}
		latest := int64(0) // that a watch starts at
		rt.Repeat(map[string]func(*rapid.T){
			"write": func(rt *rapid.T) {
				var ops []registry.Op
				for _, k := range rapid.Permutation(keys).Draw(rt, "keys") {
					switch rapid.SampledFrom([]string{"", "put", "delete"}).Draw(rt, k) {
					case "put":
						ops = append(ops, putOp(k, fmt.Sprint(m.revision())))
					case "delete":
						ops = append(ops, deleteOp(k))
					}
				}
				if ops != nil {
					write(ops...)
				}
			},
			"compact": func(rt *rapid.T) {
				rev := rapid.Int64Range(1, m.revision()).Draw(rt, "at")
				if len(m.compacts) == 0 || rev > m.compacts[len(m.compacts)-1] {
					m.compacts = append(m.compacts, rev)
					h.mustCompact(rev)
				}
			},
			"create": func(rt *rapid.T) {
				at := rapid.SampledFrom(ranges).Draw(rt, "range")
				r := &pb.WatchCreateRequest{
					Key: []byte(at.Start), RangeEnd: []byte(at.End),
					PrevKv: rapid.Bool().Draw(rt, "prev"), Fragment: rapid.Bool().Draw(rt, "fragment"),
				}
				if len(r.Key) == 0 {
					r.Key = []byte{0}
				}
				for _, f := range []pb.WatchCreateRequest_FilterType{pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE} {
					if rapid.IntRange(0, 3).Draw(rt, "filter") == 0 {
						r.Filters = append(r.Filters, f)
					}
				}
				if rapid.Bool().Draw(rt, "from a revision") {
					r.StartRevision = rapid.Int64Range(1, m.revision()+4).Draw(rt, "start")
					latest = max(latest, r.StartRevision)
				}
				create(r)
			},
			"cancel":   func(rt *rapid.T) { w.askCancel(rapid.Int64Range(0, 8).Draw(rt, "id")) },
			"progress": func(*rapid.T) { w.askProgress() },
		})
		for m.revision() < latest {
			write(putOp("c", "later"))
		}
		// One watch at least is there to answer for.
		create(&pb.WatchCreateRequest{Key: []byte("a")})
		w.askProgress()
		for r := range answers {
			if err := j.judge(r); err != nil {
				rt.Fatal(err)
			}
			if j.n == len(j.created) && r.WatchId == noWatch && r.Header.Revision >= m.revision() {
				return
			}
		}
		rt.Fatal("the stream ended")
	})
}
