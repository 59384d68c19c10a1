package storetest

import (
	"context"
	"fmt"
	"strings"

	"herald/registry"
)

// watchCases are watches whose consumer keeps up.
var watchCases = []testCase{
	{"what comes next", func(s *subject) {
		s.put("a", "1")
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		s.equal("StartedAt", w.StartedAt(), int64(2))
		s.put("a", "2")
		s.del(registry.One("a"))
		s.del(registry.One("a"))
		s.put("b", "1")
		s.sees(w, "3:a=2 4:-a 5:b=1")
	}},
	{"begins exactly after what was acknowledged", func(s *subject) {
		for range 50 {
			rev := s.put("a", "before").Revision
			w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
			s.equal("StartedAt", w.StartedAt(), rev)
			s.put("a", "after")
			s.equal("the first", s.next(w, 1)[0].Revision, rev+1)
			w.Close()
		}
	}},
	{"ranges", func(s *subject) {
		watches := []struct {
			keys registry.KeyRange
			want string
		}{
			{registry.One("b"), "2:b=1 4:-b"},
			{registry.Prefix("b"), "2:b=1,ba=1 3:bb=1 4:-b,-ba,-bb"},
			{registry.From("bb"), "2:c=1 3:bb=1 4:-bb"},
			{registry.KeyRange{Start: "a", End: "b"}, "2:a=1 5:a=end"},
			{registry.All(), "2:a=1,b=1,ba=1,c=1 3:bb=1 4:-b,-ba,-bb 5:a=end"},
		}
		var ws []registry.Watcher
		for _, tt := range watches {
			ws = append(ws, s.watch(registry.WatchRequest{KeyRange: tt.keys}))
		}
		s.do(putOp("c", "1"), putOp("ba", "1"), putOp("a", "1"), putOp("b", "1"))
		s.put("bb", "1")
		s.del(registry.Prefix("b"))
		s.put("a", "end")
		for i, tt := range watches {
			s.sees(ws[i], tt.want)
			s.sees(s.watch(registry.WatchRequest{KeyRange: tt.keys, StartRevision: 1}), tt.want)
		}
	}},
	{"filters", func(s *subject) {
		puts := s.watch(registry.WatchRequest{KeyRange: registry.All(), SkipDeletes: true})
		deletes := s.watch(registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true})
		s.put("a", "1")
		s.do(deleteOp("a"), putOp("b", "1"))
		s.del(registry.All())
		s.put("c", "1")
		s.sees(puts, "2:a=1 3:b=1 5:c=1")
		s.sees(deletes, "3:-a 4:-b")
		s.sees(s.watch(registry.WatchRequest{KeyRange: registry.All(), SkipPuts: true, StartRevision: 2}), "3:-a 4:-b")
	}},
	{"from the past on", func(s *subject) {
		s.put("a", "1")
		s.put("a", "2")
		s.put("b", "1")
		w := s.watch(registry.WatchRequest{KeyRange: registry.One("a"), StartRevision: 3})
		s.equal("StartedAt", w.StartedAt(), int64(4))
		s.put("a", "3")
		s.sees(w, "3:a=2 5:a=3")
		s.put("a", "4")
		s.sees(w, "6:a=4")
	}},
	{"from the future on", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 4})
		s.equal("StartedAt", w.StartedAt(), int64(1))
		for _, v := range []string{"2", "3", "4", "5"} {
			s.put("a", v)
		}
		s.sees(w, "4:a=4 5:a=5")
	}},
	{"each space has its own", func(s *subject) {
		kv := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		catalog := s.watch(registry.WatchRequest{Space: registry.SpaceCatalog, KeyRange: registry.All()})
		inCatalog := func(key string) registry.Op {
			return op(registry.PutRequest{Space: registry.SpaceCatalog, Key: key})
		}
		s.do(inCatalog("x"))
		s.do(putOp("a", "1"), inCatalog("y"))
		s.put("b", "1")
		s.sees(kv, "2:a=1 3:b=1")
		s.sees(catalog, "2:x= 3:y=")
	}},
	{"events have the key before and after", func(s *subject) {
		id := s.grant(registry.NoTTL)
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		s.putAs(registry.PutRequest{Key: "a", Value: []byte("1"), Lease: id, Flags: 2})
		s.put("a", "2")
		s.del(registry.One("a"))
		commits := s.next(w, 3)
		first := registry.KeyValue{Key: "a", Value: []byte("1"), CreateRevision: 2, ModRevision: 2, Version: 1, Lease: id, Flags: 2}
		second := registry.KeyValue{Key: "a", Value: []byte("2"), CreateRevision: 2, ModRevision: 3, Version: 2}
		for i, want := range []struct {
			event  registry.Event
			create bool
		}{
			{registry.Event{KV: first}, true},
			{registry.Event{KV: second, Prev: &first}, false},
			{registry.Event{Type: registry.EventDelete, KV: registry.KeyValue{Key: "a", ModRevision: 4}, Prev: &second}, false},
		} {
			got := commits[i].Events[0]
			s.equal("Type", got.Type, want.event.Type)
			s.equal("IsCreate", got.IsCreate(), want.create)
			s.is("KV", got.KV, want.event.KV)
			switch {
			case (got.Prev == nil) != (want.event.Prev == nil):
				s.Errorf("Prev: got %+v, want %+v", got.Prev, want.event.Prev)
			case got.Prev != nil:
				s.is("Prev", *got.Prev, *want.event.Prev)
			}
		}
	}},
	{"a key written several times in one transaction has one event", func(s *subject) {
		s.put("a", "1")
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		s.do(putOp("a", "2"), deleteOp("a"), putOp("a", "3"), putOp("new", "1"), deleteOp("new"))
		commit := s.next(w, 1)[0]
		s.equal("the commit", showCommits([]registry.Commit{commit}), "3:a=3")
		if prev := commit.Events[0].Prev; prev == nil || string(prev.Value) != "1" {
			s.Errorf("Prev: got %+v, want what was before the transaction", prev)
		}
	}},
	{"events know the order of the operations", func(s *subject) {
		for _, key := range []string{"a", "b", "c"} {
			s.put(key, "1")
		}
		w := s.watch(registry.WatchRequest{KeyRange: registry.KeyRange{Start: "b", End: "z"}})
		s.do(putOp("y", "1"), op(registry.DeleteRequest{KeyRange: registry.KeyRange{Start: "b", End: "d"}}), putOp("x", "1"), putOp("a", "2"))
		for _, tt := range []struct {
			what string
			w    registry.Watcher
			want string
		}{
			{"as it happens", w, "-b:1 -c:2 x:3 y:0"},
			{"from history", s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 5}), "a:4 -b:1 -c:2 x:3 y:0"},
			{"deletions alone", s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 5, SkipPuts: true}), "-b:1 -c:2"},
		} {
			var got []string
			for _, e := range s.next(tt.w, 1)[0].Events {
				sign := ""
				if e.Type == registry.EventDelete {
					sign = "-"
				}
				got = append(got, fmt.Sprintf("%s%s:%d", sign, e.KV.Key, e.Seq))
			}
			s.equal(tt.what, strings.Join(got, " "), tt.want)
		}
	}},
	{"a transaction that undoes itself has none, and a revision", func(s *subject) {
		counts := s.watch(registry.WatchRequest{KeyRange: registry.One("c"), WithEmpty: true})
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		s.put("a", "1")
		res := s.do(putOp("b", "1"), deleteOp("b"))
		s.equal("its revision", res.Revisions[registry.SpaceKV], int64(3))
		s.put("c", "1")
		s.sees(w, "2:a=1 4:c=1")
		s.sees(counts, "3: 4:c=1")
		s.sees(s.watch(registry.WatchRequest{KeyRange: registry.One("c"), WithEmpty: true, StartRevision: 1}), "3: 4:c=1")
		s.sees(s.watch(registry.WatchRequest{KeyRange: registry.All(), StartRevision: 1}), "2:a=1 4:c=1")
	}},
	{"a failed transaction has none", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		s.fails(registry.ErrLeaseNotFound, putOp("a", "1"), op(registry.PutRequest{Key: "b", Lease: 1}))
		s.put("c", "1")
		s.sees(w, "2:c=1")
	}},
	{"synced", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.One("a")})
		s.equal("at first", w.Synced(), int64(1))
		s.put("a", "1")
		rev := s.put("other", "1").Revision
		if synced := w.Synced(); synced != 1 {
			s.Errorf("with a commit to be returned: got %d, want 1", synced)
		}
		s.sees(w, "2:a=1")
		// A Next that waits has returned all; Synced then follows what others write.
		ctx, cancel := context.WithCancel(s.ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			_, _ = w.Next(ctx)
		}()
		s.eventually("synced", func() bool { return w.Synced() >= rev })
		s.equal("in the end", w.Synced(), rev)
		cancel()
		<-done
	}},
	{"closed", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		ended := make(chan error)
		go func() {
			_, err := w.Next(context.Background())
			ended <- err
		}()
		w.Close()
		w.Close()
		s.isError("a Next under way", <-ended, registry.ErrWatchClosed)
		s.put("a", "1")
		_, err := w.Next(s.ctx)
		s.isError("Next", err, registry.ErrWatchClosed)
	}},
	{"its context ends", func(s *subject) {
		ctx, cancel := context.WithCancel(s.ctx)
		w, err := s.Watch(ctx, registry.WatchRequest{KeyRange: registry.All()})
		if err != nil {
			s.Fatal(err)
		}
		cancel()
		_, err = s.nextFails(w)
		s.isError("Next", err, context.Canceled)
		_, err = s.Watch(ctx, registry.WatchRequest{KeyRange: registry.All()})
		s.isError("Watch", err, context.Canceled)
	}},
	{"the context of a Next ends", func(s *subject) {
		w := s.watch(registry.WatchRequest{KeyRange: registry.All()})
		ctx, cancel := context.WithCancel(s.ctx)
		cancel()
		_, err := w.Next(ctx)
		s.isError("Next", err, context.Canceled)
		s.put("a", "1")
		s.sees(w, "2:a=1")
	}},
	{"requests that make no sense", func(s *subject) {
		_, err := s.Watch(s.ctx, registry.WatchRequest{Space: registry.NumSpaces, KeyRange: registry.All()})
		s.isError("of no space", err, registry.ErrInvalid)
		_, err = s.Watch(s.ctx, registry.WatchRequest{})
		s.isError("of no key", err, registry.ErrEmptyKey)
		_, err = s.Watch(s.ctx, registry.WatchRequest{KeyRange: registry.All(), StartRevision: -1})
		s.isError("from a negative revision", err, registry.ErrInvalid)
		w := s.watch(registry.WatchRequest{KeyRange: registry.KeyRange{Start: "b", End: "a"}})
		s.equal("an empty range: StartedAt", w.StartedAt(), int64(1))
	}},
}
