package raftstore

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/hashicorp/raft"
)

// peerBook remembers the servers that this one has heard of: what they are called, and
// where they said they are. It is what finds the others when addresses have changed,
// and only a hint: a handshake says who is really there. It is kept in a file for the next
// start, which may be lost.
type peerBook struct {
	file string
	raft atomic.Pointer[raft.Raft] // nil until it runs

	mu      sync.Mutex
	entries map[string]bookEntry // by id
	dirty   bool
}

type bookEntry struct {
	Name    string `json:"name,omitempty"`
	Address string `json:"address"`
	// Instead is the address that raft's configuration had for the server when it was noted
	// here. A configuration that says something else by now is newer.
	Instead string `json:"instead,omitempty"`
}

// maxBook bounds the book, against servers that come and go, each with an id of its own.
const maxBook = 256

func openPeerBook(file string) *peerBook {
	b := &peerBook{file: file, entries: make(map[string]bookEntry)}
	if raw, err := os.ReadFile(file); err == nil {
		if json.Unmarshal(raw, &b.entries) != nil || b.entries == nil || len(b.entries) > maxBook {
			b.entries = make(map[string]bookEntry)
		}
	}
	return b
}

// configured is where raft's configuration has a server, "" if it has not.
func (b *peerBook) configured(id string) string {
	r := b.raft.Load()
	if r == nil {
		return ""
	}
	for _, srv := range r.GetConfiguration().Configuration().Servers {
		if string(srv.ID) == id {
			return string(srv.Address)
		}
	}
	return ""
}

// note records what a server said of itself.
func (b *peerBook) note(id, name, address string) {
	e := bookEntry{Name: name, Address: address, Instead: b.configured(id)}
	b.mu.Lock()
	defer b.mu.Unlock()
	old, known := b.entries[id]
	if known && old == e {
		return
	}
	if !known && len(b.entries) >= maxBook {
		for other := range b.entries { // any: it is a hint
			delete(b.entries, other)
			break
		}
	}
	b.entries[id] = e
	b.dirty = true
}

func (b *peerBook) get(id string) bookEntry {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.entries[id]
}

// addressOf is where to dial a server: the newest that is known.
func (b *peerBook) addressOf(id string) (string, bool) {
	at := b.configured(id)
	if e := b.get(id); e.Address != "" && (at == "" || at == e.Instead || isDisplaced(at)) {
		at = e.Address
	}
	return at, at != ""
}

// addresses are all in the book, in some order that stays.
func (b *peerBook) addresses() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []string
	for _, id := range slices.Sorted(maps.Keys(b.entries)) {
		all = append(all, b.entries[id].Address)
	}
	return all
}

// save writes the file if there is something new.
func (b *peerBook) save() error {
	b.mu.Lock()
	if !b.dirty {
		b.mu.Unlock()
		return nil
	}
	b.dirty = false
	raw, err := json.MarshalIndent(b.entries, "", "  ")
	b.mu.Unlock()
	if err != nil {
		return err
	}
	tmp := b.file + ".tmp"
	if err := os.WriteFile(tmp, append(raw, '\n'), filePerm); err != nil {
		return err
	}
	return os.Rename(tmp, b.file)
}

// addressOf is where to dial a server.
func (s *Store) addressOf(id raft.ServerID) (raft.ServerAddress, bool) {
	at, ok := s.members.book.addressOf(string(id))
	return raft.ServerAddress(at), ok
}
