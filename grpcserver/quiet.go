package grpcserver

import (
	"io"
	"os"

	"google.golang.org/grpc/grpclog"
)

// grpcLogLevel is the variable by which gRPC's own log is turned on, to look for faults.
const grpcLogLevel = "GRPC_GO_LOG_SEVERITY_LEVEL"

// gRPC and the gateway print what their clients do wrong to standard error, past the
// process's log and as often as clients like. It can be set before their first use only.
func init() {
	if os.Getenv(grpcLogLevel) == "" {
		grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	}
}
