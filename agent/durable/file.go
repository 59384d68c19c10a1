package durable

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile makes a file hold b, for its owner alone: it is written beside its place,
// synced, and renamed into it, so that after a crash it is the old one or the new
// one. One goroutine at a time may write a file.
func WriteFile(path string, b []byte) error {
	if err := replace(path, b); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// replace is WriteFile but for the directory, which may yet come back without it.
func replace(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		_ = os.Remove(tmp) // the error to tell is the first
	}
	return err
}

// Remove removes files for good. One that is not there is no error.
func Remove(paths ...string) error {
	dirs := map[string]bool{}
	for _, path := range paths {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		dirs[filepath.Dir(path)] = true
	}
	for dir := range dirs {
		if err := syncDir(dir); err != nil {
			return err
		}
	}
	return nil
}
