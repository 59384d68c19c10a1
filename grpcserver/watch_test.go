package grpcserver

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"herald/registry"
	"herald/registry/plugin"
)

// watching is a client's end of a stream of watches.
type watching struct {
	*harness
	stream grpc.BidiStreamingClient[pb.WatchRequest, pb.WatchResponse]
}

// watch opens a stream that ends with the test. What it waits for must come in a minute.
func (h *harness) watch(pairs ...string) *watching {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), pairs...), time.Minute)
	stream, err := pb.NewWatchClient(h.conn).Watch(ctx)
	if err != nil {
		cancel()
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		cancel()
		for err == nil {
			_, err = stream.Recv()
		}
	})
	return &watching{h, stream}
}

func (w *watching) send(r *pb.WatchRequest) {
	w.t.Helper()
	if err := w.stream.Send(r); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watching) askProgress() {
	w.t.Helper()
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_ProgressRequest{}})
}

func (w *watching) askCancel(id int64) {
	w.t.Helper()
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CancelRequest{CancelRequest: &pb.WatchCancelRequest{WatchId: id}}})
}

func (w *watching) askCreate(r *pb.WatchCreateRequest) {
	w.t.Helper()
	w.send(&pb.WatchRequest{RequestUnion: &pb.WatchRequest_CreateRequest{CreateRequest: r}})
}

// next is the next response of any kind.
func (w *watching) next() *pb.WatchResponse {
	w.t.Helper()
	r, err := w.stream.Recv()
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// create makes a watch and returns its id.
func (w *watching) create(r *pb.WatchCreateRequest) int64 {
	w.t.Helper()
	w.askCreate(r)
	a := w.next()
	if !a.Created || a.Canceled {
		w.t.Fatalf("create: %v", a)
	}
	return a.WatchId
}

// see reads responses and wants them to be these, in describeResponse's words.
func (w *watching) see(want ...string) {
	w.t.Helper()
	for i, s := range want {
		if got := describeResponse(w.next()); got != s {
			w.t.Fatalf("response %d is\n\t%s\nwant\n\t%s", i, got, s)
		}
	}
}

// describeResponse is a response in few words: "7 @12: ..." is of watch 7, its header's
// revision is 12.
func describeResponse(r *pb.WatchResponse) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d @%d:", r.WatchId, r.Header.GetRevision())
	if r.Created {
		b.WriteString(" created")
	}
	if r.Canceled {
		b.WriteString(" canceled")
	}
	if r.CompactRevision != 0 {
		fmt.Fprintf(&b, " compacted=%d", r.CompactRevision)
	}
	if r.CancelReason != "" {
		fmt.Fprintf(&b, " %q", r.CancelReason)
	}
	if r.Fragment {
		b.WriteString(" fragment")
	}
	for _, e := range r.Events {
		b.WriteString(" " + describeEvent(e))
	}
	return b.String()
}

// describeEvent is an event in few words: "k=v(2,5,3)" is a put of k, created at 2, modified at 5,
// its third version; "-k(5)" a delete; what stands after "<" was before.
func describeEvent(e *mvccpb.Event) string {
	describe := func(kv *mvccpb.KeyValue) string {
		s := fmt.Sprintf("%s=%s(%d,%d,%d)", kv.Key, kv.Value, kv.CreateRevision, kv.ModRevision, kv.Version)
		if kv.Lease != 0 {
			s += fmt.Sprintf("L%d", kv.Lease)
		}
		return s
	}
	s := describe(e.Kv)
	if e.Type == mvccpb.Event_DELETE {
		s = fmt.Sprintf("-%s(%d)", e.Kv.Key, e.Kv.ModRevision)
		if e.Kv.CreateRevision|e.Kv.Version|e.Kv.Lease != 0 || len(e.Kv.Value) > 0 {
			s += "!" + describe(e.Kv)
		}
	}
	if e.PrevKv != nil {
		s += "<" + describe(e.PrevKv)
	}
	return s
}

func (h *harness) mustTxn(ops ...registry.Op) int64 {
	h.t.Helper()
	r, err := h.store.Txn(context.Background(), registry.Txn{Then: ops})
	if err != nil {
		h.t.Fatal(err)
	}
	return r.Revisions[registry.SpaceKV]
}

func putOp(key, value string) registry.Op {
	return registry.Op{Put: &registry.PutRequest{Key: key, Value: []byte(value)}}
}

func deleteOp(key string) registry.Op {
	return registry.Op{Delete: &registry.DeleteRequest{KeyRange: registry.One(key)}}
}

func (h *harness) mustPut(key, value string) int64 { h.t.Helper(); return h.mustTxn(putOp(key, value)) }

func (h *harness) mustDelete(key string) int64 { h.t.Helper(); return h.mustTxn(deleteOp(key)) }

func (h *harness) mustCompact(revision int64) {
	h.t.Helper()
	if err := h.store.Compact(context.Background(), registry.SpaceKV, revision); err != nil {
		h.t.Fatal(err)
	}
}

func watchOf(k string) *pb.WatchCreateRequest { return &pb.WatchCreateRequest{Key: []byte(k)} }

func watchFrom(k string, revision int64) *pb.WatchCreateRequest {
	return &pb.WatchCreateRequest{Key: []byte(k), StartRevision: revision}
}

func watchPrefix(p string) *pb.WatchCreateRequest {
	r := registry.Prefix(p)
	return &pb.WatchCreateRequest{Key: []byte(r.Start), RangeEnd: []byte(r.End)}
}

func TestWatchSeesWhatHappens(t *testing.T) {
	h := open(t)
	w := h.watch()
	with := watchPrefix("a")
	with.PrevKv = true
	w.askCreate(watchPrefix("a"))
	w.askCreate(with)
	w.see("0 @1: created", "1 @1: created")

	// Two watches' events may come in any order.
	both := func(want ...string) {
		t.Helper()
		got := map[int64]string{}
		for range 2 {
			r := w.next()
			got[r.WatchId] = describeResponse(r)
		}
		for i, s := range want {
			if got[int64(i)] != s {
				t.Errorf("watch %d: %s, want %s", i, got[int64(i)], s)
			}
		}
	}
	h.mustPut("a", "1")
	both("0 @2: a=1(2,2,1)", "1 @2: a=1(2,2,1)")
	h.mustPut("b", "1") // nobody watches it
	h.mustPut("a", "2")
	both("0 @4: a=2(2,4,2)", "1 @4: a=2(2,4,2)<a=1(2,2,1)")
	h.mustTxn(putOp("a", "3"), putOp("ab", "1"), putOp("b", "2"))
	both("0 @5: a=3(2,5,3) ab=1(5,5,1)", "1 @5: a=3(2,5,3)<a=2(2,4,2) ab=1(5,5,1)")
	h.mustDelete("a")
	both("0 @6: -a(6)", "1 @6: -a(6)<a=3(2,5,3)")
	h.mustPut("a", "4")
	both("0 @7: a=4(7,7,1)", "1 @7: a=4(7,7,1)")
}

func TestWatchFilters(t *testing.T) {
	h := open(t)
	filtered := func(filters ...pb.WatchCreateRequest_FilterType) *watching {
		w := h.watch()
		w.create(&pb.WatchCreateRequest{Key: []byte("a"), RangeEnd: []byte("c"), Filters: filters})
		return w
	}
	noPut := filtered(pb.WatchCreateRequest_NOPUT)
	noDelete := filtered(pb.WatchCreateRequest_NODELETE)
	neither := filtered(pb.WatchCreateRequest_NOPUT, pb.WatchCreateRequest_NODELETE)
	h.mustTxn(putOp("a", "1"), putOp("b", "1"))
	noDelete.see("0 @2: a=1(2,2,1) b=1(2,2,1)")
	h.mustTxn(putOp("a", "2"), deleteOp("b"))
	noPut.see("0 @3: -b(3)")
	noDelete.see("0 @3: a=2(2,3,2)")
	h.mustDelete("a")
	noPut.see("0 @4: -a(4)")
	neither.askProgress()
	neither.see("-1 @4:")
}

func TestWatchFromThePast(t *testing.T) {
	h := open(t)
	h.mustPut("a", "1")
	h.mustPut("b", "1")
	h.mustPut("a", "2")
	h.mustDelete("a")
	for _, c := range []struct {
		start int64
		want  string
	}{
		{2, "0 @5: a=1(2,2,1) a=2(2,4,2) -a(5)"},
		{3, "0 @5: a=2(2,4,2) -a(5)"},
		{5, "0 @5: -a(5)"},
	} {
		w := h.watch()
		w.askCreate(watchFrom("a", c.start))
		w.see("0 @5: created", c.want)
	}
}

func TestWatchRefusals(t *testing.T) {
	h := open(t)
	h.mustPut("a", "1")
	w := h.watch()
	seven := watchOf("a")
	seven.WatchId = 7
	for _, c := range []struct {
		what   string
		create *pb.WatchCreateRequest
		want   string
	}{
		{"a given id", seven, "7 @2: created"},
		{"an id that is taken", seven, `-1 @2: created canceled "mvcc: duplicate watch ID provided on the WatchStream"`},
		{"an empty range", &pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a")}, `-1 @2: created canceled "mvcc: watcher range is empty"`},
		{"a range of no length", &pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("b")}, `-1 @2: created canceled "mvcc: watcher range is empty"`},
		{"a negative start", watchFrom("a", -1), `-1 @2: created canceled "etcdserver: mvcc: required revision has been compacted"`},
		{"a negative start of an empty range", &pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a"), StartRevision: -1}, `-1 @2: created canceled "etcdserver: mvcc: required revision has been compacted"`},
		{"an empty range with an id that is taken", &pb.WatchCreateRequest{Key: []byte("b"), RangeEnd: []byte("a"), WatchId: 7}, `-1 @2: created canceled "mvcc: watcher range is empty"`},
		{"after refusals, which take no id", watchOf("a"), "0 @2: created"},
		{"a negative id", &pb.WatchCreateRequest{Key: []byte("a"), WatchId: -7}, "-7 @2: created"},
		{"the id that would be next", &pb.WatchCreateRequest{Key: []byte("a"), WatchId: 1}, "1 @2: created"},
		{"after it was given", watchOf("a"), "2 @2: created"},
		{"no key", &pb.WatchCreateRequest{RangeEnd: []byte{0}}, "3 @2: created"},
		{"no key and no range", &pb.WatchCreateRequest{}, "4 @2: created"},
	} {
		w.askCreate(c.create)
		if got := describeResponse(w.next()); got != c.want {
			t.Errorf("%s: %s, want %s", c.what, got, c.want)
		}
	}
}

func TestWatchCancel(t *testing.T) {
	h := open(t)
	w := h.watch()
	id := w.create(watchOf("a"))
	h.mustPut("a", "1")
	w.see("0 @2: a=1(2,2,1)")
	w.askCancel(44) // nobody's
	w.askCancel(id)
	w.askCancel(id) // not his any more
	w.see("0 @2: canceled")
	h.mustPut("a", "2")
	again := watchOf("a")
	again.WatchId = 9
	w.create(again)
	w.askCancel(9)
	w.see("9 @3: canceled")
	w.create(again)
	h.mustPut("a", "3")
	w.see("9 @4: a=3(2,4,3)")
	w.create(watchOf("b"))
	if got := w.create(watchOf("c")); got != 2 {
		t.Errorf("id %d, want 2: they are not given again by themselves", got)
	}
}

func TestWatchOfTheWholeStore(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.create(&pb.WatchCreateRequest{RangeEnd: []byte{0}})
	h.mustPut("a", "1")
	w.see("0 @2: a=1(2,2,1)")
	h.mustPut("\xff", "1")
	w.see("0 @3: \xff=1(3,3,1)")
}

func TestWatchEndsWithTheLeader(t *testing.T) {
	h := open(t)
	w := h.watch("hasleader", "true")
	w.create(watchOf("a"))
	careless := h.watch()
	careless.create(watchOf("a"))
	h.store.SetOutage(registry.ErrNoLeader)
	_, err := w.stream.Recv()
	wantStatus(t, "a stream that requires a leader", err, codes.Unavailable, "etcdserver: no leader")
	_, err = h.watchOnce("hasleader", "true")
	wantStatus(t, "one that begins without", err, codes.Unavailable, "etcdserver: no leader")
	h.store.SetOutage(nil)
	h.mustPut("a", "1")
	careless.see("0 @2: a=1(2,2,1)")
}

// watchOnce opens a stream and returns the first that comes of it.
func (h *harness) watchOnce(pairs ...string) (*pb.WatchResponse, error) {
	ctx, cancel := context.WithTimeout(metadata.AppendToOutgoingContext(context.Background(), pairs...), time.Minute)
	defer cancel()
	stream, err := pb.NewWatchClient(h.conn).Watch(ctx)
	if err != nil {
		return nil, err
	}
	return stream.Recv()
}

func TestWatchEndsWithTheDoor(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.create(watchOf("a"))
	if err := h.stop(); err != nil {
		t.Fatal(err)
	}
	_, err := w.stream.Recv()
	wantStatus(t, "a stream when the door stops", err, codes.Unavailable, "etcdserver: server stopped")
}

func TestWatchEndsWithTheStore(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.create(watchOf("a"))
	h.store.Close()
	_, err := w.stream.Recv()
	wantStatus(t, "a stream when the store stops", err, codes.Unavailable, "etcdserver: server stopped")
}

func TestWatchOfARestoredStore(t *testing.T) {
	h := open(t)
	h.mustPut("a", "1")
	snapshot, err := h.store.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	h.mustPut("b", "1")
	w := h.watch()
	w.create(watchOf("a"))
	if err := h.store.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	w.see(fmt.Sprintf("0 @2: canceled compacted=2 %q", reasonReset))
	w.create(watchOf("a"))
	h.mustPut("a", "2")
	w.see("1 @3: a=2(2,3,2)")
}

func TestWatchAfterTheClientSaidAll(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.create(watchOf("a"))
	if err := w.stream.CloseSend(); err != nil {
		t.Fatal(err)
	}
	h.mustPut("a", "1")
	w.see("0 @2: a=1(2,2,1)")
}

func TestWatchProgressByTime(t *testing.T) {
	h := open(t, func(c *Config, _ *plugin.Host) { c.WatchProgressInterval = 100 * time.Millisecond })
	w := h.watch()
	notified := watchOf("a")
	notified.ProgressNotify = true
	w.create(notified)
	future := watchFrom("a", 100)
	future.ProgressNotify = true
	w.create(future)
	w.create(watchOf("b")) // does not want notices
	rev := h.mustPut("z", "1")
	// The second is sent after all that the first time had to say to others.
	for told := 0; told < 2; {
		r := w.next()
		if r.WatchId != 0 || len(r.Events) > 0 || r.Created || r.Canceled || r.Header.Revision > rev {
			t.Fatalf("%v, want a notice of progress for watch 0", r)
		}
		if r.Header.Revision == rev {
			told++
		}
	}
}

// What a watch costs is memory: a stream has two goroutines, however many it has.
func TestWatchesShareGoroutines(t *testing.T) {
	h := open(t)
	w := h.watch()
	w.create(watchOf("a"))
	before := runtime.NumGoroutine()
	const watches = 2000
	for i := range watches {
		w.create(watchOf(fmt.Sprint("k", i)))
	}
	if n := runtime.NumGoroutine() - before; n > watches/10 {
		t.Errorf("%d goroutines more for %d watches more", n, watches)
	}
	for i := range watches {
		h.mustPut(fmt.Sprint("k", i), "1")
	}
	for i := range watches {
		w.see(fmt.Sprintf("%d @%d: k%d=1(%d,%d,1)", i+1, i+2, i, i+2, i+2))
	}
}
