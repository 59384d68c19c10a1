package grpcserver

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"

	"herald/registry"
)

// alarmPrefix begins the keys of alarms in registry.SpaceSystem, such as
// alarm/NOSPACE/0123456789abcdef: the type, and the number of the member in hexadecimal.
// They have no values.
const alarmPrefix = "alarm/"

// alarmInterval is how often alarms are read though none has changed.
const alarmInterval = time.Minute

func alarmKey(a *pb.AlarmMember) string {
	return fmt.Sprintf("%s%v/%016x", alarmPrefix, a.Alarm, a.MemberID)
}

// parseAlarmKey is the alarm that a key is of, nil if it is of none that is known here.
func parseAlarmKey(key string) *pb.AlarmMember {
	name, id, ok := strings.Cut(strings.TrimPrefix(key, alarmPrefix), "/")
	kind, known := pb.AlarmType_value[name]
	member, err := strconv.ParseUint(id, 16, 64)
	if !ok || !known || err != nil {
		return nil
	}
	a := &pb.AlarmMember{MemberID: member, Alarm: pb.AlarmType(kind)}
	if alarmKey(a) != key {
		return nil
	}
	return a
}

// readAlarms reads the alarms that are armed, in the order of their keys.
func readAlarms(ctx context.Context, s registry.Store, how registry.Consistency) ([]*pb.AlarmMember, error) {
	res, err := s.Range(ctx, registry.RangeRequest{Space: registry.SpaceSystem, KeyRange: registry.Prefix(alarmPrefix), Consistency: how})
	if err != nil {
		return nil, err
	}
	var all []*pb.AlarmMember
	for i := range res.KVs {
		if a := parseAlarmKey(res.KVs[i].Key); a != nil {
			all = append(all, a)
		}
	}
	return all, nil
}

// alarms are the alarms in force as this server knows them. They are a matter between etcd's
// clients and their operators: other doors do not ask. It is safe for concurrent use.
type alarms struct {
	store registry.Store

	refreshing sync.Mutex // held from reading the store to setting known
	known      atomic.Pointer[knownAlarms]
}

// knownAlarms do not change.
type knownAlarms struct {
	armed            []*pb.AlarmMember
	noSpace, corrupt bool
}

func newAlarms(s registry.Store) *alarms {
	a := &alarms{store: s}
	a.known.Store(new(knownAlarms))
	return a
}

// runAlarms keeps the alarms up to date until ctx ends.
func (c *core) runAlarms(ctx context.Context) {
	c.follow(ctx, alarmPrefix, alarmInterval, c.alarms.refresh)
}

// refresh takes the alarms from this server's state as it is.
func (a *alarms) refresh(ctx context.Context) error {
	a.refreshing.Lock()
	defer a.refreshing.Unlock()
	armed, err := readAlarms(ctx, a.store, registry.Stale)
	if err != nil {
		return err
	}
	known := &knownAlarms{armed: armed}
	for _, m := range armed {
		known.noSpace = known.noSpace || m.Alarm == pb.AlarmType_NOSPACE
		known.corrupt = known.corrupt || m.Alarm == pb.AlarmType_CORRUPT
	}
	a.known.Store(known)
	return nil
}

// refuseGrowth is why puts and new leases are refused, nil if they are not.
func (a *alarms) refuseGrowth() error {
	known := a.known.Load()
	switch {
	case known.corrupt:
		return rpctypes.ErrGRPCCorrupt
	case known.noSpace:
		return rpctypes.ErrGRPCNoSpace
	}
	return nil
}

// refuseChange is why writes that free space are refused, nil if they are not.
func (a *alarms) refuseChange() error {
	if a.known.Load().corrupt {
		return rpctypes.ErrGRPCCorrupt
	}
	return nil
}

// refuseTxn is why a transaction is refused, nil if it is not. What it might write counts,
// in whichever branch.
func (a *alarms) refuseTxn(r *pb.TxnRequest) error {
	if known := a.known.Load(); !known.corrupt && !known.noSpace {
		return nil
	}
	switch puts, deletes := txnWrites(r); {
	case puts:
		return a.refuseGrowth()
	case deletes:
		return a.refuseChange()
	}
	return nil
}

// txnWrites says whether a transaction has puts and deletions, nested ones included.
func txnWrites(r *pb.TxnRequest) (puts, deletes bool) {
	for _, branch := range [][]*pb.RequestOp{r.Success, r.Failure} {
		for _, op := range branch {
			switch op := op.Request.(type) {
			case *pb.RequestOp_RequestPut:
				puts = true
			case *pb.RequestOp_RequestDeleteRange:
				deletes = true
			case *pb.RequestOp_RequestTxn:
				p, d := txnWrites(op.RequestTxn)
				puts, deletes = puts || p, deletes || d
			}
		}
	}
	return puts, deletes
}

// alarmsInForce are the types of the alarms that this server knows of, the worst first.
func (c *core) alarmsInForce() []pb.AlarmType {
	var kinds []pb.AlarmType
	known := c.alarms.known.Load()
	if known.corrupt {
		kinds = append(kinds, pb.AlarmType_CORRUPT)
	}
	if known.noSpace {
		kinds = append(kinds, pb.AlarmType_NOSPACE)
	}
	return kinds
}
