package catalog

import "sync"

// The bounds of what one memo keeps. Keys come from requests, so that their number
// is not ours to know.
const (
	memoEntries = 64
	memoBytes   = 8 << 20
)

// memo keeps rendered answers by key.
type memo struct {
	mu      sync.Mutex // for all below but memoEntry.value and built; never held while building
	entries map[string]*memoEntry
	bytes   int
}

type memoEntry struct {
	once  sync.Once
	value []byte
	built bool // else build panicked
	size  int  // what it counts for in bytes, once it is built
}

func (m *memo) get(key string, build func() []byte) []byte {
	for {
		e := m.entry(key)
		e.once.Do(func() {
			// A build that panics must not leave its nothing to the next who asks.
			defer m.settle(key, e)
			e.value = build()
			e.built = true
		})
		if e.built {
			return e.value
		}
		// It panicked in another's call, while this one waited for it.
	}
}

func (m *memo) entry(key string) *memoEntry {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.entries[key]
	if e == nil {
		e = &memoEntry{}
		if m.entries == nil {
			m.entries = make(map[string]*memoEntry, 2)
		}
		if len(m.entries) >= memoEntries {
			m.dropOneLocked()
		}
		m.entries[key] = e
	}
	return e
}

// settle counts an entry that has been built, and makes room for it; one that
// could not be built is forgotten.
func (m *memo) settle(key string, e *memoEntry) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.entries[key] != e {
		return // dropped while it was being built
	}
	if !e.built {
		delete(m.entries, key)
		return
	}
	e.size = len(e.value)
	m.bytes += e.size
	for m.bytes > memoBytes {
		m.dropOneLocked()
	}
}

// dropOneLocked forgets an arbitrary entry. Those who hold it still get it.
func (m *memo) dropOneLocked() {
	for key, e := range m.entries {
		m.bytes -= e.size
		delete(m.entries, key)
		return
	}
}
