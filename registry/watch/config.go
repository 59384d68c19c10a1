package watch

// Config bounds what a hub keeps for its watchers. A zero field takes its default.
type Config struct {
	// Buffer is how many commits may wait undelivered in a watcher that does not
	// ask for a number of its own, before it is left behind. More of them ride out
	// longer pauses of a consumer; each pins one commit's events in memory, which
	// the history has anyway until it is compacted.
	Buffer int
	// BufferBytes bounds the same wait by the size of keys and values. One
	// commit may always wait, however large it is.
	BufferBytes int
	// CatchUp is how many commits of the history, wanted or not, a Next that has to
	// catch up looks at before it returns what it found. It bounds the work and the
	// memory of one step.
	CatchUp int
}

// DefaultConfig returns the settings that zero fields take.
func DefaultConfig() Config {
	return Config{
		Buffer:      1024,
		BufferBytes: 8 << 20,
		CatchUp:     1024,
	}
}

// withDefaults fills in what is zero or makes no sense.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	if c.Buffer <= 0 {
		c.Buffer = d.Buffer
	}
	if c.BufferBytes <= 0 {
		c.BufferBytes = d.BufferBytes
	}
	if c.CatchUp <= 0 {
		c.CatchUp = d.CatchUp
	}
	return c
}
