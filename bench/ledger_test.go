package main

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// delivery is one event at a watcher.
type delivery struct {
	number   int
	revision int64
}

// written is a ledger of so many writes, whose revisions are those of written puts that were not answered in their order: write
// i has revision 10+i, but for the first two, which changed places.
func written(n int) (*ledger, []delivery) {
	l := newLedger(n)
	var all []delivery
	for i := range n {
		revision := 10 + int64(i)
		if n > 1 && i < 2 {
			revision = 10 + int64(1-i)
		}
		l.writes[i].sent.Store(l.now())
		l.writes[i].revision.Store(revision)
		all = append(all, delivery{i, revision})
	}
	slices.SortFunc(all, func(a, b delivery) int { return int(a.revision - b.revision) })
	return l, all
}

// judge gives deliveries to a watcher of everything and checks them.
func judge(l *ledger, all []delivery) (missing int, err error) {
	var r receipt
	for _, d := range all {
		if err := r.take(d.number, d.revision); err != nil {
			return 0, err
		}
	}
	return r.check(l.expected(len(l.writes), 1)[0])
}

func TestReceipts(t *testing.T) {
	tests := []struct {
		name    string
		change  func([]delivery) []delivery
		missing int
		err     string
	}{
		{name: "everything", change: func(d []delivery) []delivery { return d }},
		{name: "the last is lost", change: func(d []delivery) []delivery { return d[:4] }, missing: 1},
		{name: "two in the middle are lost", change: func(d []delivery) []delivery { return slices.Delete(d, 1, 3) }, missing: 2},
		{name: "all are lost", change: func([]delivery) []delivery { return nil }, missing: 5},
		{name: "one comes twice", change: func(d []delivery) []delivery { return slices.Insert(d, 2, d[1]) }, err: "revision 11 after 11"},
		{name: "two change places", change: func(d []delivery) []delivery { d[2], d[3] = d[3], d[2]; return d }, err: "revision 12 after 13"},
		{name: "one more", change: func(d []delivery) []delivery { return append(d, delivery{0, 99}) }, err: "6 deliveries up to revision 99, of 5"},
		{name: "one under another's revision", change: func(d []delivery) []delivery { d[0].number, d[1].number = d[1].number, d[0].number; return d },
			err: "not the same ones"},
		{name: "one lost and another in its place", change: func(d []delivery) []delivery { d[2].number = 3; return d }, err: "not the same ones"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, all := written(5)
			missing, err := judge(l, tt.change(all))
			if missing != tt.missing {
				t.Errorf("%d are missing, want %d", missing, tt.missing)
			}
			if (err != nil) != (tt.err != "") || err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error %v, want %q", err, tt.err)
			}
		})
	}
}

// Whatever is done to deliveries is found out.
func TestReceiptsFindEveryChange(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, all := written(rapid.IntRange(1, 30).Draw(t, "n"))
		changed := slices.Clone(all)
		at := rapid.IntRange(0, len(all)-1).Draw(t, "at")
		switch rapid.SampledFrom([]string{"lose", "number", "revision"}).Draw(t, "change") {
		case "lose":
			changed = slices.Delete(changed, at, at+1)
		case "number":
			changed[at].number = (changed[at].number + rapid.IntRange(1, 1000).Draw(t, "by"))
		case "revision":
			changed[at].revision += rapid.Int64Range(1, 1000).Draw(t, "by")
		}
		if missing, err := judge(l, changed); missing == 0 && err == nil {
			t.Fatalf("%v is taken for %v", changed, all)
		}
		if missing, err := judge(l, all); missing != 0 || err != nil {
			t.Fatalf("%d of %v are missing, %v", missing, all, err)
		}
	})
}

func TestExpectedOfGroups(t *testing.T) {
	l, _ := written(5) // writes 0, 2 and 4 go to one group, 1 and 3 to the other
	for i, want := range []receipt{
		{count: 3, revision: 14, sum: fingerprint(0, 11) + fingerprint(2, 12) + fingerprint(4, 14)},
		{count: 2, revision: 13, sum: fingerprint(1, 10) + fingerprint(3, 13)},
	} {
		if got := l.expected(5, 2)[i]; got != want {
			t.Errorf("group %d: got %+v, want %+v", i, got, want)
		}
	}
}

func TestLedgerFindsItsWrites(t *testing.T) {
	l, _ := written(3)
	for i := range 3 {
		if n, err := l.find([]byte(valueOf(i, 256))); err != nil || n != i {
			t.Errorf("write %d is found as %d, %v", i, n, err)
		}
	}
	if len(valueOf(1, 256)) != 256 || len(valueOf(1, 1)) != numberBytes {
		t.Error("a value has not the size it should")
	}
	l.writes[2].sent.Store(0)
	for _, foreign := range []string{"", "short", valueOf(2, 256), valueOf(3, 256), strings.Repeat("x", 20)} {
		if n, err := l.find([]byte(foreign)); err == nil {
			t.Errorf("%q is taken for write %d", foreign, n)
		}
	}
}

func TestVerifyFindsWhatOneWatcherLost(t *testing.T) {
	for _, w := range []watchWork{{watchers: 4}, {watchers: 4, ownKey: true}} {
		book, all := written(9)
		streams := make([]*stream, 3)
		for i := range streams {
			streams[i] = &stream{receipts: map[int]*receipt{}}
		}
		for i := range w.watchers {
			streams[i%len(streams)].receipts[i] = new(receipt)
		}
		deliver := func(d delivery, watcher int) {
			if err := streams[watcher%len(streams)].receipts[watcher].take(d.number, d.revision); err != nil {
				t.Fatal(err)
			}
		}
		for _, d := range all[:8] {
			for i := range w.watchers {
				if !w.ownKey || d.number%w.watchers == i {
					deliver(d, i)
				}
			}
		}
		last := all[8] // write 8: to all, or to the watcher of key 0
		if missing, err := w.verify(book, 9, streams); err != nil || missing != w.fanOut() {
			t.Errorf("own key %v: %d are missing, %v, want %d", w.ownKey, missing, err, w.fanOut())
		}
		for i := range w.fanOut() {
			deliver(last, i)
		}
		if missing, err := w.verify(book, 9, streams); err != nil || missing != 0 {
			t.Errorf("own key %v: %d are missing, %v", w.ownKey, missing, err)
		}
	}
}
