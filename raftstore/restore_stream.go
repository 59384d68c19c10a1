package raftstore

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
)

// A server that does not lead hands an archive to the one that does on a stream:
//
//	leader    go, or refused
//	server    length (uint32) and origin; length (uint64) and archive
//	leader    working, every second; then done and an index, or failed
//
// A byte says which; refused and failed are followed by an error to the stream's end, an
// index is a uint64. Numbers are big-endian.
const (
	restoreGo      = 1
	restoreWorking = 2
	restoreDone    = 3
	restoreFailed  = 4
)

// restoreWorkingEvery is how often the leader says that it is still at it.
const restoreWorkingEvery = time.Second

// maxOrigin bounds the origin that another server sends.
const maxOrigin = 1 << 20

// restore has the leader restore.
func (r remoteLeader) restore(ctx context.Context, sp *spool, by registry.Origin) error {
	s := r.s
	c, err := s.port.Stream(ctx, s.target(r.known.id, r.known.address), methodRestore)
	if err != nil {
		return fmt.Errorf("%w: cannot reach the leader, server %s: %w", registry.ErrUnavailable, r.known.id, err)
	}
	defer c.Close()
	// It ends with the call, the store, or that server's leadership.
	ctx, change := context.WithCancelCause(ctx)
	defer change(nil)
	defer context.AfterFunc(r.known.over, func() { change(context.Cause(r.known.over)) })()
	defer context.AfterFunc(ctx, func() { c.Close() })()

	p := patient{c, s.cfg.PeerTimeout}
	lost := func(sentinel, err error) error {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return fmt.Errorf("%w: lost touch with the leader, server %s, during the restore: %w", sentinel, r.known.id, err)
	}
	in := bufio.NewReader(p)
	switch b, err := in.ReadByte(); {
	case err != nil:
		return lost(registry.ErrUnavailable, err)
	case b != restoreGo:
		return readRestoreError(in)
	}
	if err := sendArchive(p, sp, by); err != nil {
		if errors.Is(err, registry.ErrCorrupt) {
			return err // and the leader was not to blame
		}
		// Nothing begins before it is all there.
		return lost(registry.ErrUnavailable, err)
	}
	for {
		b, err := in.ReadByte()
		if err != nil {
			return lost(registry.ErrTimeout, err)
		}
		switch b {
		case restoreWorking:
		case restoreDone:
			var index [8]byte
			if _, err := io.ReadFull(in, index[:]); err != nil {
				return lost(registry.ErrTimeout, err)
			}
			// It has happened, also if this server's own state is slow to follow.
			wait, cancel := s.bounded(ctx)
			defer cancel()
			_ = s.machine.waitApplied(wait, binary.BigEndian.Uint64(index[:]))
			return nil
		default:
			return readRestoreError(in)
		}
	}
}

func readRestoreError(in io.Reader) error {
	b, err := io.ReadAll(io.LimitReader(in, maxOrigin))
	if err != nil {
		return fmt.Errorf("%w: the leader did not say why it failed: %w", registry.ErrTimeout, err)
	}
	return decodeError(b)
}

func sendArchive(w io.Writer, sp *spool, by registry.Origin) error {
	o := appendOrigin(nil, by)
	out := bufio.NewWriterSize(w, 64<<10)
	out.Write(binary.BigEndian.AppendUint32(nil, uint32(len(o))))
	out.Write(o)
	out.Write(binary.BigEndian.AppendUint64(nil, uint64(sp.size)))
	if _, err := io.Copy(out, sp.reader()); err != nil {
		return err
	}
	return out.Flush()
}

// patient is a connection each step of which may take so long.
type patient struct {
	net.Conn
	step time.Duration
}

func (p patient) Read(b []byte) (int, error) {
	if err := p.SetReadDeadline(time.Now().Add(p.step)); err != nil {
		return 0, err
	}
	return p.Conn.Read(b)
}

func (p patient) Write(b []byte) (int, error) {
	if err := p.SetWriteDeadline(time.Now().Add(p.step)); err != nil {
		return 0, err
	}
	return p.Conn.Write(b)
}

// handleRestore takes an archive from another server.
func (s *Store) handleRestore(ctx context.Context, from peer.Identity, c net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	p := patient{c, s.cfg.PeerTimeout}
	fail := func(err error) {
		if errors.Is(err, registry.ErrStopped) {
			err = s.notHere()
		}
		_, _ = p.Write(append([]byte{restoreFailed}, encodeError(err)...))
	}
	if err := s.mayRestore(from); err != nil {
		fail(err)
		return
	}
	if _, err := p.Write([]byte{restoreGo}); err != nil {
		return
	}
	in := bufio.NewReader(p)
	by, size, err := readRestoreHead(in)
	if err != nil {
		return // whoever sent that reads no answer either
	}
	stop := s.sayWorking(ctx, p, cancel)
	index, err := s.restoreFrom(ctx, c, io.LimitReader(in, size), size, by)
	stop()
	if err != nil {
		fail(err)
		return
	}
	_, _ = p.Write(binary.BigEndian.AppendUint64([]byte{restoreDone}, index))
}

// mayRestore says whether another server's archive is taken.
func (s *Store) mayRestore(from peer.Identity) error {
	if own := s.identity().Cluster; own == "" || from.Cluster != own {
		return fmt.Errorf("%w: server %s is not part of cluster %s", registry.ErrForeignCluster, from.Node, own)
	}
	if s.raft.State() != raft.Leader || s.yielded.Load() || s.open() != nil {
		return s.notHere()
	}
	return nil
}

func readRestoreHead(in io.Reader) (by registry.Origin, size int64, err error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return by, 0, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > maxOrigin {
		return by, 0, fmt.Errorf("%w: an origin of %d bytes", registry.ErrCorrupt, n)
	}
	b := make([]byte, n+8)
	if _, err := io.ReadFull(in, b); err != nil {
		return by, 0, err
	}
	if by, err = decodeOrigin(b[:n]); err != nil {
		return by, 0, err
	}
	size = int64(binary.BigEndian.Uint64(b[n:]))
	if size < 0 {
		return by, 0, fmt.Errorf("%w: an archive of %d bytes", registry.ErrCorrupt, size)
	}
	return by, size, nil
}

func (s *Store) restoreFrom(ctx context.Context, c net.Conn, r io.Reader, size int64, by registry.Origin) (uint64, error) {
	sp, err := s.spool(ctx, r)
	if err != nil {
		// The other server hears why once it has sent all it has.
		_, _ = io.Copy(io.Discard, r)
		return 0, err
	}
	defer sp.close()
	if sp.size != size {
		return 0, fmt.Errorf("%w: %d of %d bytes came", registry.ErrUnavailable, sp.size, size)
	}
	ctx, stop := untilClosed(ctx, c)
	defer stop()
	return s.restoreHere(ctx, sp, by)
}

// untilClosed returns a context that ends when the other side, which has nothing more to
// send, closes the connection. stop is called before the connection is read again.
func untilClosed(ctx context.Context, c net.Conn) (_ context.Context, stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	if c.SetReadDeadline(time.Time{}) == nil {
		wg.Go(func() {
			_, _ = c.Read(make([]byte, 1))
			cancel()
		})
	}
	return ctx, func() {
		_ = c.SetReadDeadline(time.Now())
		wg.Wait()
		cancel()
	}
}

// sayWorking tells the other server, which waits only so long for a word, again and again
// that this one is at work, until stop is called; and calls gone when that cannot be told
// any more.
func (s *Store) sayWorking(ctx context.Context, w io.Writer, gone func()) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(restoreWorkingEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if _, err := w.Write([]byte{restoreWorking}); err != nil {
					gone()
					return
				}
			case <-ctx.Done():
				return
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}
