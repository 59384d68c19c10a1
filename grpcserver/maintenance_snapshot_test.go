package grpcserver

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"os"
	"strings"
	"testing"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/codes"
)

// wantNoFiles fails the test if a snapshot was left in the directory for temporary files.
func wantNoFiles(t *testing.T, dir string) {
	t.Helper()
	files, err := os.ReadDir(dir)
	if err != nil || len(files) > 0 {
		t.Errorf("left behind: %v, %v", files, err)
	}
}

func TestSnapshot(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := cluster(t, 1, 0)
	h := openOver(t, s.Memory, s.use)
	for _, size := range []int{0, 1, 511, 512, 513, snapshotChunk - 1, snapshotChunk, snapshotChunk + 1, 100_007} {
		s.archive = strings.Repeat("0123456789abcdef.", size/17+1)[:size]
		stream, err := pb.NewMaintenanceClient(h.conn).Snapshot(t.Context(), &pb.SnapshotRequest{})
		if err != nil {
			t.Fatal(err)
		}
		var blob []byte
		var last *pb.SnapshotResponse
		for {
			m, err := stream.Recv()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			last = m
			blob = append(blob, m.Blob...)
			if len(m.Blob) > 32<<10 || m.Version != "3.7.0" || m.Header != nil {
				t.Errorf("%d bytes: a message of %d bytes, version %q, header %v", size, len(m.Blob), m.Version, m.Header)
			}
			whole := (size + 511) / 512 * 512
			if want := max(whole-len(blob), 0); m.RemainingBytes != uint64(want) {
				t.Errorf("%d bytes: %d are left after %d, want %d", size, m.RemainingBytes, len(blob), want)
			}
		}
		end := len(blob) - sha256.Size
		if len(blob)%512 != 32 || string(blob[:size]) != s.archive || len(bytes.Trim(blob[size:end], "\x00")) > 0 {
			t.Errorf("%d bytes: %d came, or others than were saved", size, len(blob))
		}
		if sum := sha256.Sum256(blob[:end]); !bytes.Equal(last.Blob, sum[:]) {
			t.Errorf("%d bytes: the last message is %x, want %x", size, last.Blob, sum)
		}
	}
	wantNoFiles(t, dir)
}

func TestSnapshotOfTheClients(t *testing.T) {
	s := cluster(t, 1, 0)
	s.archive = strings.Repeat("archive", 1000)
	h := openOver(t, s.Memory, s.use)
	client, err := clientv3.New(clientv3.Config{Endpoints: []string{h.address}})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	r, err := client.SnapshotWithVersion(t.Context())
	if err != nil || r.Version != "3.7.0" {
		t.Fatalf("%+v, %v", r, err)
	}
	defer r.Snapshot.Close()
	b, err := io.ReadAll(r.Snapshot)
	if err != nil || !strings.HasPrefix(string(b), s.archive) || len(b) != 7168+32 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

// stalledSnapshots takes as many snapshots as there may be at a time and reads none to its end. They
// must be too large for connections to take them in. What it returns abandons them.
func (h *harness) stalledSnapshots() (abandon func()) {
	h.t.Helper()
	ctx, cancel := context.WithCancel(h.t.Context())
	for range maxSnapshots {
		stream, err := pb.NewMaintenanceClient(h.conn).Snapshot(ctx, &pb.SnapshotRequest{})
		if err == nil {
			_, err = stream.Recv()
		}
		if err != nil {
			cancel()
			h.t.Fatal(err)
		}
	}
	return cancel
}

// A snapshot that cannot be taken, or that nobody wants any more, leaves nothing behind, and those
// that wait have their turn.
func TestSnapshotThatFails(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	s := cluster(t, 1, 0)
	h := openOver(t, s.Memory, s.use)
	m := pb.NewMaintenanceClient(h.conn)
	s.archive = strings.Repeat("x", 10<<20)
	abandon := h.stalledSnapshots()
	impatient, cancel := context.WithCancel(t.Context())
	waiting, err := m.Snapshot(impatient, &pb.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	_, err = waiting.Recv()
	wantStatus(t, "one that does not wait", err, codes.Canceled, "")
	abandon()

	s.archived = func() error { return errors.New("the disk is gone") }
	stream, err := m.Snapshot(t.Context(), &pb.SnapshotRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	wantStatus(t, "one that fails half-way", err, codes.Unknown, "herald: take a snapshot: the disk is gone")
	wantNoFiles(t, dir)
	t.Setenv("TMPDIR", dir+"/not there")
	if stream, err = m.Snapshot(t.Context(), &pb.SnapshotRequest{}); err == nil {
		_, err = stream.Recv()
	}
	wantStatus(t, "without a place for it", err, codes.Unknown, "")
}

// One that waits for its turn does not hold up the end of the door.
func TestSnapshotThatWaitsWhenTheDoorEnds(t *testing.T) {
	s := cluster(t, 1, 0)
	s.archive = strings.Repeat("x", 10<<20)
	h := openOver(t, s.Memory, s.use)
	abandon := h.stalledSnapshots()
	defer abandon()
	waiting, err := pb.NewMaintenanceClient(h.conn).Snapshot(t.Context(), &pb.SnapshotRequest{})
	if err != nil {
		t.Fatal(err)
	}
	until(t, "all are under way", func() bool { return h.door.core.calls.streams.Load() == maxSnapshots+1 })
	stopped := make(chan error, 1)
	go func() { stopped <- h.stop() }()
	_, err = waiting.Recv()
	wantStatus(t, "the one that waits", err, codes.Unavailable, "etcdserver: server stopped")
	abandon()
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestSnapshotWithoutAnOperator(t *testing.T) {
	stream, err := pb.NewMaintenanceClient(open(t).conn).Snapshot(t.Context(), &pb.SnapshotRequest{})
	if err == nil {
		_, err = stream.Recv()
	}
	wantStatus(t, "snapshot", err, codes.Unimplemented, "")
}
