package etcdclient

import (
	"fmt"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/mvccpb"
	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/registry"
)

// inRange are the options for a range; key is what goes with them.
func inRange(r registry.KeyRange) (key string, opts []clientv3.OpOption) {
	if r.Start == "" && !r.IsOne() {
		r.Start = "\x00" // there is no key below it
	}
	if !r.IsOne() {
		opts = append(opts, clientv3.WithRange(r.End))
	}
	return r.Start, opts
}

func rangeOp(r *registry.RangeRequest) (op clientv3.Op, err error) {
	taken := registry.RangeRequest{
		KeyRange: r.KeyRange, Revision: r.Revision, Limit: r.Limit, CountOnly: r.CountOnly, KeysOnly: r.KeysOnly,
		SkipCount: r.SkipCount, Consistency: r.Consistency,
	}
	if *r != taken {
		return op, unknownHere("such a range: %+v", *r)
	}
	key, opts := inRange(r.KeyRange)
	opts = append(opts, clientv3.WithRev(max(r.Revision, 0)), clientv3.WithLimit(max(r.Limit, 0)))
	if r.CountOnly {
		opts = append(opts, clientv3.WithCountOnly())
	}
	if r.KeysOnly {
		opts = append(opts, clientv3.WithKeysOnly())
	}
	if r.Consistency == registry.Stale {
		opts = append(opts, clientv3.WithSerializable())
	}
	return clientv3.OpGet(key, opts...), nil
}

func putOp(p *registry.PutRequest) (op clientv3.Op, err error) {
	switch {
	case p.Space != registry.SpaceKV, p.Lock != registry.LockKeep, p.IfChanged, p.Flags != 0,
		p.KeepValue, p.KeepLease, p.KeepFlags, p.PrevKV:
		return op, unknownHere("such a put: %+v", *p)
	}
	return clientv3.OpPut(p.Key, string(p.Value), clientv3.WithLease(clientv3.LeaseID(p.Lease))), nil
}

func deleteOp(d *registry.DeleteRequest) (op clientv3.Op, err error) {
	if *d != (registry.DeleteRequest{KeyRange: d.KeyRange}) {
		return op, unknownHere("such a deletion: %+v", *d)
	}
	key, opts := inRange(d.KeyRange)
	return clientv3.OpDelete(key, opts...), nil
}

func txnOps(t *registry.Txn) (compares []clientv3.Cmp, then, otherwise []clientv3.Op, err error) {
	for i := range t.Compare {
		c, err := compare(&t.Compare[i])
		if err != nil {
			return nil, nil, nil, err
		}
		compares = append(compares, c)
	}
	if then, err = ops(t.Then); err == nil {
		otherwise, err = ops(t.Else)
	}
	return compares, then, otherwise, err
}

func compare(c *registry.Compare) (cmp clientv3.Cmp, err error) {
	results := [...]string{registry.Equal: "=", registry.NotEqual: "!=", registry.Greater: ">", registry.Less: "<"}
	key, opts := inRange(c.KeyRange)
	switch {
	case c.Space != registry.SpaceKV || len(opts) > 0:
		return cmp, unknownHere("such a compare: %+v", *c)
	case c.Target == registry.CompareMod:
		return clientv3.Compare(clientv3.ModRevision(key), results[c.Result], c.Int), nil
	case c.Target == registry.CompareCreate:
		return clientv3.Compare(clientv3.CreateRevision(key), results[c.Result], c.Int), nil
	case c.Target == registry.CompareVersion:
		return clientv3.Compare(clientv3.Version(key), results[c.Result], c.Int), nil
	case c.Target == registry.CompareValue:
		return clientv3.Compare(clientv3.Value(key), results[c.Result], string(c.Bytes)), nil
	}
	return cmp, unknownHere("such a compare: %+v", *c)
}

func ops(all []registry.Op) ([]clientv3.Op, error) {
	out := make([]clientv3.Op, 0, len(all))
	for i := range all {
		var op clientv3.Op
		var err error
		switch o := &all[i]; {
		case o.Range != nil:
			op, err = rangeOp(o.Range)
		case o.Put != nil:
			op, err = putOp(o.Put)
		case o.Delete != nil:
			op, err = deleteOp(o.Delete)
		default:
			err = unknownHere("such an operation")
		}
		if err != nil {
			return nil, err
		}
		out = append(out, op)
	}
	return out, nil
}

func keyValue(kv *mvccpb.KeyValue) registry.KeyValue {
	return registry.KeyValue{
		Key: string(kv.Key), Value: kv.Value, CreateRevision: kv.CreateRevision,
		ModRevision: kv.ModRevision, Version: kv.Version, Lease: registry.LeaseID(kv.Lease),
	}
}

func rangeResult(r *clientv3.GetResponse) registry.RangeResult {
	out := registry.RangeResult{Count: r.Count, More: r.More, Revision: r.Header.GetRevision()}
	for _, kv := range r.Kvs {
		out.KVs = append(out.KVs, keyValue(kv))
	}
	return out
}

func txnResult(r *clientv3.TxnResponse) (registry.TxnResult, error) {
	out := registry.TxnResult{Succeeded: r.Succeeded}
	out.Revisions[registry.SpaceKV] = r.Header.GetRevision()
	for _, a := range r.Responses {
		var res registry.OpResult
		switch a := a.Response.(type) {
		case *pb.ResponseOp_ResponseRange:
			got := rangeResult((*clientv3.GetResponse)(a.ResponseRange))
			res.Range = &got
		case *pb.ResponseOp_ResponsePut:
			res.Put = &registry.PutResult{Revision: a.ResponsePut.GetHeader().GetRevision(), Written: true}
		case *pb.ResponseOp_ResponseDeleteRange:
			res.Delete = &registry.DeleteResult{Revision: a.ResponseDeleteRange.GetHeader().GetRevision(), Deleted: a.ResponseDeleteRange.GetDeleted()}
		default:
			return out, fmt.Errorf("an answer of kind %T in a transaction", a)
		}
		out.Results = append(out.Results, res)
	}
	return out, nil
}
