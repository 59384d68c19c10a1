package grpcserver

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"

	"herald/registry/plugin"
)

// snapshotClient takes a snapshot as gRPC would hand it one: in some time for each message, and
// none any more after a number of them.
type snapshotClient struct {
	grpc.ServerStream
	ctx   context.Context
	pace  time.Duration
	takes int
	took  int
}

func (c *snapshotClient) Context() context.Context { return c.ctx }

func (c *snapshotClient) Send(*pb.SnapshotResponse) error {
	if c.took == c.takes {
		<-c.ctx.Done()
		return c.ctx.Err()
	}
	c.took++
	select {
	case <-time.After(c.pace):
		return nil
	case <-c.ctx.Done():
		return c.ctx.Err()
	}
}

// snapshots is a service whose snapshots are of so many messages, with the last.
func snapshots(t *testing.T, messages int) (s *maintenanceService, dir string) {
	dir = t.TempDir()
	servers := cluster(t, 1, 0)
	servers.archive = strings.Repeat("x", (messages-1)*snapshotChunk)
	return newMaintenanceService(newCore(DefaultConfig(), &plugin.Host{
		Store: servers.Memory, Cluster: servers, Operator: servers, TempDir: dir, Log: slog.New(slog.DiscardHandler),
	})), dir
}

// take has a snapshot sent to a client, whose context ends with the call, as gRPC does it.
func take(s *maintenanceService, c *snapshotClient) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	c.ctx = ctx
	return s.Snapshot(nil, c)
}

// A client that is slow gets its snapshot. One that reads no more loses it, wherever it stopped, and
// so does one that reads too little to ever end, and leaves room for the next and nothing on the disk.
func TestSnapshotOfAClientThatStalls(t *testing.T) {
	const (
		messages = 100
		stretch  = snapshotFloor / snapshotChunk // messages, for which there is one chunkTimeout
		slowest  = (chunkTimeout - time.Second) / stretch
	)
	for _, c := range []struct {
		name  string
		pace  time.Duration
		takes int
		code  codes.Code
		after time.Duration
	}{
		{"slow", slowest, messages, codes.OK, messages * slowest},
		{"too slow", chunkTimeout/stretch + time.Second, messages, codes.DeadlineExceeded, chunkTimeout},
		{"one message just in time, again and again", chunkTimeout - time.Second, messages, codes.DeadlineExceeded, chunkTimeout},
		{"nothing is read", 0, 0, codes.DeadlineExceeded, chunkTimeout},
		{"half is read", time.Second, messages / 2, codes.DeadlineExceeded, stretch*time.Second + chunkTimeout},
		{"the begin is read", time.Second, stretch / 2, codes.DeadlineExceeded, chunkTimeout},
		{"all but the checksum is read", 0, messages - 1, codes.DeadlineExceeded, chunkTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, dir := snapshots(t, messages)
				began := time.Now()
				err := take(s, &snapshotClient{pace: c.pace, takes: c.takes})
				wantStatus(t, "the call", err, c.code, "")
				if took := time.Since(began); took != c.after {
					t.Errorf("it took %v, want %v", took, c.after)
				}
				s.background.Wait()
				wantNoFiles(t, dir)
			})
		})
	}
}

// Clients that stall keep others waiting, and not for ever.
func TestSnapshotAfterOthersStalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, dir := snapshots(t, 3)
		began := time.Now()
		stalled := make(chan error, maxSnapshots)
		for range maxSnapshots {
			go func() { stalled <- take(s, new(snapshotClient)) }()
		}
		synctest.Wait()
		last := &snapshotClient{takes: 3}
		wantStatus(t, "who waited", take(s, last), codes.OK, "")
		if took := time.Since(began); last.took != 3 || took != chunkTimeout {
			t.Errorf("it took %d messages, after %v", last.took, took)
		}
		for range maxSnapshots {
			wantStatus(t, "who stalled", <-stalled, codes.DeadlineExceeded, "")
		}
		s.background.Wait()
		wantNoFiles(t, dir)
	})
}

// Over a real connection too, the end of the call ends what sends: the client is still there, and
// hears why when it reads on.
func TestSnapshotOfAConnectionThatStalls(t *testing.T) {
	s, dir := snapshots(t, 1000)
	s.patience = 10 * time.Millisecond
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	server := grpc.NewServer(grpc.StreamInterceptor(func(srv any, ss grpc.ServerStream, call *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		defer close(ended)
		return s.stream(srv, ss, call, handle)
	}))
	pb.RegisterMaintenanceServer(server, s)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	stream, err := pb.NewMaintenanceClient(conn).Snapshot(t.Context(), &pb.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	s.background.Wait()
	wantNoFiles(t, dir)
	for err == nil {
		_, err = stream.Recv()
	}
	wantStatus(t, "the client", err, codes.DeadlineExceeded, "herald: the client has read less than 1024 KiB of the snapshot within 10ms; take another one")
}
