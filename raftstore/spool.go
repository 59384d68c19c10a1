package raftstore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"syscall"

	"herald/registry"
	"herald/registry/archive"
)

// spool is an archive on this server's disk, read and found sound.
type spool struct {
	file *os.File
	size int64
	sum  [sha256.Size]byte // of what was found sound
	info registry.SnapshotInfo
}

// spool takes an archive in, to its end. It fails with registry.ErrCorrupt, ErrFormat and
// ErrDiskFull, and with r's own errors.
func (s *Store) spool(ctx context.Context, r io.Reader) (_ *spool, err error) {
	f, err := os.CreateTemp(s.dir.temp(), "restore-*")
	if err != nil {
		return nil, fmt.Errorf("take the snapshot in: %w", err)
	}
	sp := &spool{file: f}
	defer func() {
		if err != nil {
			sp.close()
		}
	}()
	may := func() error {
		if err := s.enter(ctx); err != nil {
			return err
		}
		return s.admitCommand()
	}
	if sp.size, err = io.Copy(&guardedWriter{f, may}, r); err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			err = fmt.Errorf("%w: %w", registry.ErrDiskFull, err)
		}
		return nil, fmt.Errorf("take the snapshot in: %w", err)
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return nil, err
	}
	sum := sha256.New()
	if _, sp.info, err = archive.ReadAll(io.TeeReader(f, sum)); err != nil {
		return nil, err
	}
	sum.Sum(sp.sum[:0])
	return sp, nil
}

// reader reads the archive from its beginning. Readers do not disturb each other. It ends
// with registry.ErrCorrupt, and not with io.EOF, if what it read is not what was found
// sound: an archive that cannot be decoded must not get into the log.
func (sp *spool) reader() io.Reader {
	return &soundReader{in: io.NewSectionReader(sp.file, 0, sp.size), sum: sha256.New(), want: sp.sum}
}

type soundReader struct {
	in   io.Reader
	sum  hash.Hash
	want [sha256.Size]byte
}

func (r *soundReader) Read(b []byte) (int, error) {
	n, err := r.in.Read(b)
	r.sum.Write(b[:n])
	if err == io.EOF && !bytes.Equal(r.sum.Sum(nil), r.want[:]) {
		err = fmt.Errorf("%w: the snapshot that was taken in has changed on this server's disk", registry.ErrCorrupt)
	}
	return n, err
}

func (sp *spool) close() {
	sp.file.Close()
	os.Remove(sp.file.Name())
}

// guardedWriter writes as long as may is nil.
type guardedWriter struct {
	w   io.Writer
	may func() error
}

func (g *guardedWriter) Write(b []byte) (int, error) {
	if err := g.may(); err != nil {
		return 0, err
	}
	return g.w.Write(b)
}
