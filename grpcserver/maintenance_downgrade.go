package grpcserver

import (
	"context"
	"regexp"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// targetVersion is what a version to go back to looks like, such as 3.6 or 3.6.0.
var targetVersion = regexp.MustCompile(`^\d+\.\d+(\.\d+)?(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)

// Downgrade refuses: etcd's data there is none of, so no version of etcd can take it over. To
// give up a downgrade is answered as etcd does, whether or not one was under way: none ever is.
func (s *maintenanceService) Downgrade(_ context.Context, r *pb.DowngradeRequest) (*pb.DowngradeResponse, error) {
	switch r.Action {
	case pb.DowngradeRequest_VALIDATE, pb.DowngradeRequest_ENABLE:
		if !targetVersion.MatchString(r.Version) {
			return nil, rpctypes.ErrGRPCWrongDowngradeVersionFormat
		}
		return nil, rpctypes.ErrGRPCInvalidDowngradeTargetVersion
	case pb.DowngradeRequest_CANCEL:
		return &pb.DowngradeResponse{Header: s.headerNow(), Version: strings.TrimSuffix(clusterVersion, ".0")}, nil
	}
	return nil, status.Errorf(codes.InvalidArgument, "herald: downgrade action %d is none of VALIDATE (0), ENABLE (1) and CANCEL (2)", r.Action)
}
