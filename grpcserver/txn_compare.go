package grpcserver

import (
	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

var compareResults = map[pb.Compare_CompareResult]registry.CompareResult{
	pb.Compare_EQUAL:     registry.Equal,
	pb.Compare_GREATER:   registry.Greater,
	pb.Compare_LESS:      registry.Less,
	pb.Compare_NOT_EQUAL: registry.NotEqual,
}

// txnCompare is a compare as the store takes it. any is false for one that holds whatever
// the keys are. An operand of another kind than the target is a zero of the target's.
//
// A target or a result that etcd does not know is no error to it. Of an unknown target,
// EQUAL holds and nothing else does; an unknown result holds, but for the value of
// a key that does not exist, which no compare holds for.
func txnCompare(c *pb.Compare) (compare registry.Compare, any bool) {
	compare.KeyRange = keyRange(c.Key, c.RangeEnd)
	switch c.Target {
	case pb.Compare_VERSION:
		compare.Target, compare.Int = registry.CompareVersion, c.GetVersion()
	case pb.Compare_CREATE:
		compare.Target, compare.Int = registry.CompareCreate, c.GetCreateRevision()
	case pb.Compare_MOD:
		compare.Target, compare.Int = registry.CompareMod, c.GetModRevision()
	case pb.Compare_LEASE:
		compare.Target, compare.Int = registry.CompareLease, c.GetLease()
	case pb.Compare_VALUE:
		compare.Target, compare.Bytes = registry.CompareValue, c.GetValue()
	default:
		if _, known := compareResults[c.Result]; !known || c.Result == pb.Compare_EQUAL {
			return registry.Compare{}, false
		}
		// No version is below 0.
		compare.Target, compare.Result = registry.CompareVersion, registry.Less
		return compare, true
	}
	result, known := compareResults[c.Result]
	switch {
	case known:
		compare.Result = result
	case c.Target == pb.Compare_VALUE:
		return registry.Compare{KeyRange: compare.KeyRange, Target: registry.CompareCreate, Result: registry.NotEqual}, true
	default:
		return registry.Compare{}, false
	}
	return compare, true
}
