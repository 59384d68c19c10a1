package raftstore

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

func TestBookOutlivesARestart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), bookFile)
	b := openPeerBook(file)
	b.note("a", "one", "one:7400")
	b.note("a", "one", "two:7400") // it has moved
	b.note("b", "other", "three:7400")
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	b = openPeerBook(file)
	if at, ok := b.addressOf("a"); !ok || at != "two:7400" || b.get("a").Name != "one" {
		t.Errorf("a is at %q (%v), called %q", at, ok, b.get("a").Name)
	}
	if at, ok := b.addressOf("c"); ok {
		t.Errorf("who was never heard of is at %q", at)
	}
	if all := b.addresses(); len(all) != 2 || all[0] != "two:7400" || all[1] != "three:7400" {
		t.Errorf("addresses: %q", all)
	}
	// It is not written for nothing.
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	b.note("a", "one", "two:7400")
	if err := b.save(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(file); err == nil {
		t.Error("a book with nothing new was written")
	}
}

// The book is a hint: one that cannot be read is as good as none.
func TestBookThatCannotBeRead(t *testing.T) {
	t.Parallel()
	for _, content := range []string{"", "{", "[]", "null", `{"a": 7}`} {
		file := filepath.Join(t.TempDir(), bookFile)
		if err := os.WriteFile(file, []byte(content), filePerm); err != nil {
			t.Fatal(err)
		}
		b := openPeerBook(file)
		b.note("a", "one", "one:7400")
		if at, _ := b.addressOf("a"); at != "one:7400" || len(b.addresses()) != 1 {
			t.Errorf("with the file %q: %q, %q", content, at, b.addresses())
		}
	}
}

func TestBookIsBounded(t *testing.T) {
	t.Parallel()
	b := openPeerBook(filepath.Join(t.TempDir(), bookFile))
	for i := range 3 * maxBook {
		b.note(fmt.Sprint(i), "", fmt.Sprint("host-", i, ":7400"))
	}
	if n := len(b.addresses()); n != maxBook {
		t.Errorf("%d entries, want %d", n, maxBook)
	}
}

func FuzzBookFile(f *testing.F) {
	f.Add([]byte(`{"a": {"name": "one", "address": "one:7400", "instead": "x"}}`))
	f.Fuzz(func(t *testing.T, content []byte) {
		file := filepath.Join(t.TempDir(), bookFile)
		if err := os.WriteFile(file, content, filePerm); err != nil {
			t.Fatal(err)
		}
		b := openPeerBook(file)
		b.note("z", "", "z:7400")
		if at, ok := b.addressOf("z"); !ok || at != "z:7400" {
			t.Errorf("z is at %q", at)
		}
	})
}
