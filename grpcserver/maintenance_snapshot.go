package grpcserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

const (
	// snapshotChunk is how much of a snapshot one message has at most.
	snapshotChunk = 32 << 10
	// snapshotFloor is how much of a snapshot a client must take within each stretch of the service's
	// patience: one that only ever takes a little would keep one of few places for weeks. It is a
	// multiple of snapshotChunk.
	snapshotFloor = 1 << 20
	// snapshotBlock is what a snapshot's size is a multiple of, before its checksum: clients
	// tell by it that the checksum is there.
	snapshotBlock = 512
)

// Snapshot sends everything that this server has, as an archive that `herald snapshot restore`
// takes. After it come zeros, up to a whole block, and the SHA-256 of all that, so
// that etcd's tools can check the file.
func (s *maintenanceService) Snapshot(_ *pb.SnapshotRequest, to grpc.ServerStreamingServer[pb.SnapshotResponse]) error {
	if s.operator == nil {
		return errNoOperator
	}
	ctx := to.Context()
	select {
	case s.saving <- struct{}{}:
		defer func() { <-s.saving }()
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopping.Done():
		return context.Cause(s.stopping)
	}
	archive, err := os.CreateTemp(s.tempDir, "herald-snapshot-*")
	if err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	defer discard(archive)
	size, err := s.saveTo(ctx, archive)
	if err != nil {
		return fmt.Errorf("take a snapshot: %w", err)
	}
	padding := (snapshotBlock - size%snapshotBlock) % snapshotBlock
	return s.sendSnapshot(to, io.MultiReader(archive, bytes.NewReader(make([]byte, padding))), size+padding)
}

// saveTo writes the archive to a file, to be read from its beginning, and returns how long
// it is. How much there is to send is told before it is sent, and what goes on meanwhile has
// no part in it.
func (s *maintenanceService) saveTo(ctx context.Context, f *os.File) (int64, error) {
	// Nobody finds it, and nothing is left of it when the process ends. Where a file that is open cannot
	// be removed, discard does it.
	_ = os.Remove(f.Name())
	if _, err := s.operator.SaveSnapshot(ctx, f, true); err != nil {
		return 0, err
	}
	size, err := f.Seek(0, io.SeekCurrent)
	if err != nil {
		return 0, err
	}
	_, err = f.Seek(0, io.SeekStart)
	return size, err
}

func discard(f *os.File) {
	f.Close()
	_ = os.Remove(f.Name())
}

// sendSnapshot sends total bytes and their checksum. It fails once the client has taken too
// little for too long: what waits in its connection is little, and the snapshot is large.
//
// A call cannot take back a message that it is sending, except by its end. So another goroutine
// sends, and is given one message at a time; the end of the call is what ends it.
func (s *maintenanceService) sendSnapshot(to grpc.ServerStreamingServer[pb.SnapshotResponse], from io.Reader, total int64) error {
	messages, sent := make(chan *pb.SnapshotResponse), make(chan error, 1)
	defer close(messages)
	s.background.Go(func() {
		for m := range messages {
			sent <- to.Send(m)
		}
	})
	patience := time.NewTimer(s.patience)
	defer patience.Stop()
	taken := 0
	send := func(m *pb.SnapshotResponse) error {
		messages <- m
		if taken%(snapshotFloor/snapshotChunk) == 0 {
			patience.Reset(s.patience)
		}
		taken++
		select {
		case err := <-sent:
			return err
		case <-patience.C:
			return status.Errorf(codes.DeadlineExceeded, "herald: the client has read less than %d KiB of the snapshot within %v; take another one", snapshotFloor>>10, s.patience)
		case <-to.Context().Done():
			return context.Cause(to.Context())
		}
	}
	sum := sha256.New()
	from = io.TeeReader(from, sum)
	for left := total; left > 0; {
		chunk := make([]byte, min(left, snapshotChunk))
		if _, err := io.ReadFull(from, chunk); err != nil {
			if errors.Is(err, io.EOF) { // which would end the stream as if all were well
				err = io.ErrUnexpectedEOF
			}
			return fmt.Errorf("read the snapshot that was taken: %w", err)
		}
		left -= int64(len(chunk))
		if err := send(&pb.SnapshotResponse{RemainingBytes: uint64(left), Blob: chunk, Version: storageVersion}); err != nil {
			return err
		}
	}
	return send(&pb.SnapshotResponse{Blob: sum.Sum(nil), Version: storageVersion})
}
