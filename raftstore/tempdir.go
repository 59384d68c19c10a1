package raftstore

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// tempDir is where in the data directory files are that are of use to this process alone.
const tempDir = "tmp"

func (d *dataDir) temp() string { return filepath.Join(d.path, tempDir) }

// emptyTemp makes the directory for such files, and removes what a crash left in it. The
// directory itself stays: it may be a place on another disk.
func (d *dataDir) emptyTemp() error {
	left, err := os.ReadDir(d.temp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for what a crash left: %w", err)
	}
	for _, f := range left {
		if err := os.RemoveAll(filepath.Join(d.temp(), f.Name())); err != nil {
			return fmt.Errorf("remove what a crash left: %w", err)
		}
	}
	if err := makeDir(d.temp()); err != nil {
		return fmt.Errorf("data directory %s: %w", d.path, err)
	}
	return nil
}

// TempDir is a directory for files that nobody needs once this process has ended: they may be as
// large as the data, so it is where that is. It is empty when Open begins to use it.
func (s *Store) TempDir() string { return s.dir.temp() }
