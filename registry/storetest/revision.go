package storetest

import "herald/registry"

// revisionCases are how revisions count, and what a key knows of them.
var revisionCases = []testCase{
	{"an empty space is at 1", func(s *subject) {
		for space := range registry.Space(registry.NumSpaces) {
			s.revisionIs(space, 1)
		}
	}},
	{"a write adds one", func(s *subject) {
		s.equal("the first put's", s.put("a", "1").Revision, int64(2))
		s.equal("an identical put's", s.put("a", "1").Revision, int64(3))
		s.equal("a delete's", s.del(registry.One("a")).Revision, int64(4))
		s.revisionIs(registry.SpaceKV, 4)
	}},
	{"a transaction adds one, whatever it writes", func(s *subject) {
		res := s.do(putOp("a", "1"), putOp("b", "2"), deleteOp("a"), putOp("c", "3"))
		s.equal("Revisions", res.Revisions[registry.SpaceKV], int64(2))
		for i, r := range res.Results {
			if r.Put != nil {
				s.equal("a put's", r.Put.Revision, int64(2))
			} else {
				s.equal("the delete's", res.Results[i].Delete.Revision, int64(2))
			}
		}
		s.revisionIs(registry.SpaceKV, 2)
		s.equal("ModRevision", s.mustGet("c").ModRevision, int64(2))
	}},
	{"what writes nothing adds nothing", func(s *subject) {
		s.put("a", "1")
		s.equal("Deleted", s.del(registry.Prefix("x")).Deleted, int64(0))
		s.do(op(registry.PutRequest{Key: "a", Value: []byte("1"), IfChanged: true}))
		s.do(readOp("a"))
		s.do()
		s.fails(registry.ErrLeaseNotFound, putOp("b", "2"), op(registry.PutRequest{Key: "c", Lease: 99}))
		lease := s.grant(registry.NoTTL)
		if _, err := s.KeepAlive(s.ctx, lease); err != nil {
			s.Errorf("KeepAlive: %v", err)
		}
		s.revoke(lease)
		s.txn(registry.Txn{
			Compare: []registry.Compare{{KeyRange: registry.One("a"), Target: registry.CompareVersion, Int: 9}},
			Then:    []registry.Op{putOp("a", "2")},
		})
		s.revisionIs(registry.SpaceKV, 2)
	}},
	{"each space counts for itself", func(s *subject) {
		s.put("a", "1")
		s.putAs(registry.PutRequest{Space: registry.SpaceCatalog, Key: "a", Value: []byte("of the catalog")})
		s.put("a", "2")
		res := s.do(putOp("a", "3"), op(registry.PutRequest{Space: registry.SpaceSession, Key: "a"}))
		s.equal("Revisions", res.Revisions, registry.Revisions{4, 2, 2, 1})
		s.holds("a=3")
		s.revisionIs(registry.SpaceCatalog, 2)
	}},
	{"a key's revisions and version", func(s *subject) {
		s.put("other", "")
		s.putAs(registry.PutRequest{Key: "a", Value: []byte("1"), Flags: 7})
		s.is("created", s.mustGet("a"), registry.KeyValue{Key: "a", Value: []byte("1"), CreateRevision: 3, ModRevision: 3, Version: 1, Flags: 7})
		s.put("a", "2")
		s.is("written again", s.mustGet("a"), registry.KeyValue{Key: "a", Value: []byte("2"), CreateRevision: 3, ModRevision: 4, Version: 2})
		s.del(registry.One("a"))
		s.put("a", "3")
		s.is("created again", s.mustGet("a"), registry.KeyValue{Key: "a", Value: []byte("3"), CreateRevision: 6, ModRevision: 6, Version: 1})
	}},
	{"a key deleted and put in one transaction", func(s *subject) {
		s.put("a", "1")
		s.put("a", "2")
		s.do(deleteOp("a"), putOp("a", "3"))
		s.is("afterwards", s.mustGet("a"), registry.KeyValue{Key: "a", Value: []byte("3"), CreateRevision: 4, ModRevision: 4, Version: 1})
	}},
	{"a key put twice in one transaction", func(s *subject) {
		s.put("a", "1")
		s.do(putOp("a", "2"), putOp("a", "3"))
		s.is("afterwards", s.mustGet("a"), registry.KeyValue{Key: "a", Value: []byte("3"), CreateRevision: 2, ModRevision: 3, Version: 2})
	}},
	{"a key created and deleted in one transaction", func(s *subject) {
		s.equal("Revisions", s.do(putOp("a", "1"), deleteOp("a")).Revisions[registry.SpaceKV], int64(2))
		s.revisionIs(registry.SpaceKV, 2)
		s.holds("")
	}},
}
