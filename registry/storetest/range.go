package storetest

import (
	"time"

	"herald/registry"
)

// rangeCases are reads.
var rangeCases = []testCase{
	{"ranges and options", func(s *subject) {
		// Revisions 2 to 7; versions of d are 2; values are not in key order.
		for _, kv := range [][2]string{{"a", "5"}, {"b", "4"}, {"ba", "3"}, {"c", "2"}, {"d", "9"}, {"d", "1"}} {
			s.put(kv[0], kv[1])
		}
		s.put("gone", "")
		s.del(registry.One("gone"))
		const all = "a=5 b=4 ba=3 c=2 d=1"
		for _, tt := range []struct {
			name  string
			r     registry.RangeRequest
			want  string
			count int64
			more  bool
		}{
			{"one key", registry.RangeRequest{KeyRange: registry.One("b")}, "b=4", 1, false},
			{"a key that does not exist", registry.RangeRequest{KeyRange: registry.One("bb")}, "", 0, false},
			{"a key that was deleted", registry.RangeRequest{KeyRange: registry.One("gone")}, "", 0, false},
			{"a prefix", registry.RangeRequest{KeyRange: registry.Prefix("b")}, "b=4 ba=3", 2, false},
			{"from a key on", registry.RangeRequest{KeyRange: registry.From("ba")}, "ba=3 c=2 d=1", 3, false},
			{"all", registry.RangeRequest{KeyRange: registry.All()}, all, 5, false},
			{"the empty prefix", registry.RangeRequest{KeyRange: registry.Prefix("")}, all, 5, false},
			{"bounds", registry.RangeRequest{KeyRange: registry.KeyRange{Start: "b", End: "c"}}, "b=4 ba=3", 2, false},
			{"an empty range", registry.RangeRequest{KeyRange: registry.KeyRange{Start: "c", End: "b"}}, "", 0, false},
			{"an empty range of one bound", registry.RangeRequest{KeyRange: registry.KeyRange{Start: "c", End: "c"}}, "", 0, false},
			{"limit", registry.RangeRequest{KeyRange: registry.All(), Limit: 2}, "a=5 b=4", 5, true},
			{"limit of all", registry.RangeRequest{KeyRange: registry.All(), Limit: 5}, all, 5, false},
			{"negative limit", registry.RangeRequest{KeyRange: registry.All(), Limit: -1}, all, 5, false},
			{"count only", registry.RangeRequest{KeyRange: registry.Prefix("b"), CountOnly: true}, "", 2, false},
			{"keys only", registry.RangeRequest{KeyRange: registry.Prefix("b"), KeysOnly: true}, "b= ba=", 2, false},
			{"keys descending", registry.RangeRequest{KeyRange: registry.All(), SortOrder: registry.SortDescend}, "d=1 c=2 ba=3 b=4 a=5", 5, false},
			{"keys descending, limit", registry.RangeRequest{KeyRange: registry.All(), SortOrder: registry.SortDescend, Limit: 2}, "d=1 c=2", 5, true},
			{"by value", registry.RangeRequest{KeyRange: registry.All(), SortTarget: registry.SortByValue}, "d=1 c=2 ba=3 b=4 a=5", 5, false},
			{"by value descending, limit", registry.RangeRequest{KeyRange: registry.All(), SortTarget: registry.SortByValue, SortOrder: registry.SortDescend, Limit: 1}, "a=5", 5, true},
			{"by creation, limit", registry.RangeRequest{KeyRange: registry.All(), SortTarget: registry.SortByCreate, SortOrder: registry.SortAscend, Limit: 2}, "a=5 b=4", 5, true},
			{"by creation descending, limit", registry.RangeRequest{KeyRange: registry.Prefix("b"), SortTarget: registry.SortByCreate, SortOrder: registry.SortDescend, Limit: 1}, "ba=3", 2, true},
			{"by last write descending", registry.RangeRequest{KeyRange: registry.From("c"), SortTarget: registry.SortByMod, SortOrder: registry.SortDescend}, "d=1 c=2", 2, false},
			{"by version", registry.RangeRequest{KeyRange: registry.All(), SortTarget: registry.SortByVersion, SortOrder: registry.SortDescend, Limit: 1}, "d=1", 5, true},
			{"lowest mod revision", registry.RangeRequest{KeyRange: registry.All(), MinModRevision: 5}, "c=2 d=1", 5, false},
			{"highest mod revision", registry.RangeRequest{KeyRange: registry.All(), MaxModRevision: 3}, "a=5 b=4", 5, false},
			{"lowest create revision", registry.RangeRequest{KeyRange: registry.All(), MinCreateRevision: 6}, "d=1", 5, false},
			{"highest create revision", registry.RangeRequest{KeyRange: registry.All(), MaxCreateRevision: 4, MinModRevision: 4}, "ba=3", 5, false},
			{"limit counts after filters", registry.RangeRequest{KeyRange: registry.All(), MinModRevision: 4, Limit: 2}, "ba=3 c=2", 5, true},
			{"limit reached by all that pass", registry.RangeRequest{KeyRange: registry.All(), MaxModRevision: 3, Limit: 2}, "a=5 b=4", 5, false},
			{"an older revision", registry.RangeRequest{KeyRange: registry.All(), Revision: 4}, "a=5 b=4 ba=3", 3, false},
			{"an older version", registry.RangeRequest{KeyRange: registry.One("d"), Revision: 6}, "d=9", 1, false},
			{"before a deletion", registry.RangeRequest{KeyRange: registry.Prefix("g"), Revision: 8}, "gone=", 1, false},
			{"the current revision", registry.RangeRequest{KeyRange: registry.One("d"), Revision: 9}, "d=1", 1, false},
			{"a negative revision is now", registry.RangeRequest{KeyRange: registry.One("d"), Revision: -3}, "d=1", 1, false},
			{"the empty revision", registry.RangeRequest{KeyRange: registry.All(), Revision: 1}, "", 0, false},
			{"an older revision, sorted and cut", registry.RangeRequest{KeyRange: registry.All(), Revision: 6, SortTarget: registry.SortByValue, SortOrder: registry.SortDescend, Limit: 2}, "d=9 a=5", 5, true},
			{"an older count", registry.RangeRequest{KeyRange: registry.All(), Revision: 3, CountOnly: true}, "", 2, false},
		} {
			res := s.read(tt.r)
			s.equal(tt.name+": keys", showKVs(res.KVs), tt.want)
			s.equal(tt.name+": Count", res.Count, tt.count)
			s.equal(tt.name+": More", res.More, tt.more)
			s.equal(tt.name+": Revision", res.Revision, int64(9))
			s.equal(tt.name+": Age", res.Age, time.Duration(0))
		}
		res := s.read(registry.RangeRequest{KeyRange: registry.All(), Limit: 2, SkipCount: true})
		s.equal("without a count: keys", showKVs(res.KVs), "a=5 b=4")
		s.equal("without a count: More", res.More, true)
	}},
	{"a revision that is not there yet", func(s *subject) {
		s.put("a", "1")
		_, err := s.Range(s.ctx, registry.RangeRequest{KeyRange: registry.One("a"), Revision: 3})
		s.isError("Range", err, registry.ErrFutureRevision)
		s.fails(registry.ErrFutureRevision, op(registry.RangeRequest{KeyRange: registry.One("a"), Revision: 3}))
	}},
	{"requests that make no sense", func(s *subject) {
		_, err := s.Range(s.ctx, registry.RangeRequest{})
		s.isError("a read of no key", err, registry.ErrEmptyKey)
		_, err = s.Range(s.ctx, registry.RangeRequest{Space: registry.NumSpaces, KeyRange: registry.All()})
		s.isError("a read of no space", err, registry.ErrInvalid)
		s.fails(registry.ErrEmptyKey, readOp(""))
	}},
	{"a stale read", func(s *subject) {
		s.put("a", "1")
		// Its own copy may be behind, but comes to have the write.
		s.eventually("the write is read", func() bool {
			res := s.read(registry.RangeRequest{KeyRange: registry.One("a"), Consistency: registry.Stale})
			if res.Age < 0 {
				s.Fatalf("Age: got %v", res.Age)
			}
			return showKVs(res.KVs) == "a=1"
		})
	}},
	{"values are the store's own", func(s *subject) {
		value := []byte("before")
		s.putAs(registry.PutRequest{Key: "a", Value: value})
		copy(value, "AFTER!")
		s.holds("a=before")
	}},
	{"an empty value and odd keys", func(s *subject) {
		for _, key := range []string{"\x00", "\xff", "\xff\xff", "a\x00b", "ключ"} {
			s.put(key, key)
		}
		s.put("empty", "")
		s.equal("an empty value", len(s.mustGet("empty").Value), 0)
		s.equal("all", showKVs(s.read(registry.RangeRequest{KeyRange: registry.All(), KeysOnly: true}).KVs),
			"\x00= a\x00b= empty= ключ= \xff= \xff\xff=")
		s.equal("a prefix of the highest byte", s.read(registry.RangeRequest{KeyRange: registry.Prefix("\xff"), CountOnly: true}).Count, int64(2))
	}},
}
