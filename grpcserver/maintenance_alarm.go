package grpcserver

import (
	"context"
	"slices"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"herald/registry"
)

// Alarm tells of alarms, arms one or disarms one. When it has answered, this server acts
// accordingly; the others do as soon as they hear of it.
func (s *maintenanceService) Alarm(ctx context.Context, r *pb.AlarmRequest) (*pb.AlarmResponse, error) {
	if _, known := pb.AlarmType_name[int32(r.Alarm)]; !known {
		return nil, status.Errorf(codes.InvalidArgument, "herald: there is no alarm of type %d", r.Alarm)
	}
	var told []*pb.AlarmMember
	var err error
	switch r.Action {
	case pb.AlarmRequest_GET:
		told, err = s.listAlarms(ctx, r.Alarm)
	case pb.AlarmRequest_ACTIVATE:
		told, err = s.setAlarm(ctx, r, s.arm)
	case pb.AlarmRequest_DEACTIVATE:
		told, err = s.setAlarm(ctx, r, s.disarm)
	default:
		err = status.Errorf(codes.InvalidArgument, "herald: alarm action %d is none of GET (0), ACTIVATE (1) and DEACTIVATE (2)", r.Action)
	}
	if err != nil {
		return nil, err
	}
	return &pb.AlarmResponse{Header: s.headerNow(), Alarms: told}, nil
}

// listAlarms are the alarms of a type, of any type with NONE, of every member.
func (s *maintenanceService) listAlarms(ctx context.Context, kind pb.AlarmType) ([]*pb.AlarmMember, error) {
	all, err := readAlarms(ctx, s.store, registry.Linearizable)
	var told []*pb.AlarmMember
	for _, a := range all {
		if kind == pb.AlarmType_NONE || kind == a.Alarm {
			told = append(told, a)
		}
	}
	return told, err
}

// setAlarm changes the alarm that is asked for, which is told if set says so.
func (s *maintenanceService) setAlarm(ctx context.Context, r *pb.AlarmRequest, set func(context.Context, string) (bool, error)) ([]*pb.AlarmMember, error) {
	if r.Alarm == pb.AlarmType_NONE {
		return nil, nil
	}
	a := &pb.AlarmMember{MemberID: r.MemberID, Alarm: r.Alarm}
	tell, err := set(asOperator(ctx), alarmKey(a))
	if err != nil {
		return nil, err
	}
	// Once this server has answered such a read, it has the change.
	if _, err := readAlarms(ctx, s.store, registry.Linearizable); err != nil {
		return nil, err
	}
	if err := s.alarms.refresh(ctx); err != nil || !tell {
		return nil, err
	}
	return []*pb.AlarmMember{a}, nil
}

// maxAlarms is how many alarms there may be. As in etcd they may be of members that there are
// none of, so that the members do not bound them.
const maxAlarms = 128

func (s *maintenanceService) arm(ctx context.Context, key string) (bool, error) {
	put := registry.Op{Put: &registry.PutRequest{Space: registry.SpaceSystem, Key: key, IfChanged: true}}
	for range maxAddAttempts {
		have, err := s.store.Range(ctx, registry.RangeRequest{
			Space: registry.SpaceSystem, KeyRange: registry.Prefix(alarmPrefix), KeysOnly: true, Limit: maxAlarms,
		})
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(have.KVs, func(kv registry.KeyValue) bool { return kv.Key == key }) {
			return true, nil
		}
		if len(have.KVs) >= maxAlarms {
			return false, status.Errorf(codes.ResourceExhausted, "herald: %d alarms are armed already; disarm some", maxAlarms)
		}
		res, err := s.store.Txn(ctx, registry.Txn{
			Compare: []registry.Compare{unwrittenSince(alarmPrefix, have.Revision)},
			Then:    []registry.Op{put},
		})
		if err != nil || res.Succeeded {
			return true, err
		}
	}
	return false, rpctypes.ErrGRPCRequestTooManyRequests
}

func (s *maintenanceService) disarm(ctx context.Context, key string) (bool, error) {
	res, err := registry.Delete(ctx, s.store, registry.DeleteRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key)})
	return res.Deleted > 0, err
}
