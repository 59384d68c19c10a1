package grpcserver

import (
	"context"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
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

func (s *maintenanceService) arm(ctx context.Context, key string) (bool, error) {
	_, err := registry.Put(ctx, s.store, registry.PutRequest{Space: registry.SpaceSystem, Key: key, IfChanged: true})
	return true, err
}

func (s *maintenanceService) disarm(ctx context.Context, key string) (bool, error) {
	res, err := registry.Delete(ctx, s.store, registry.DeleteRequest{Space: registry.SpaceSystem, KeyRange: registry.One(key)})
	return res.Deleted > 0, err
}
