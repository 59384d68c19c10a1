package plugin

import (
	"context"
	"fmt"
)

// DoorInfo describes a door: a protocol that Herald is spoken to in.
type DoorInfo struct {
	// Name is the door's name in configuration (doors.<name>) and in flags
	// (--<name>-<setting>). Lower-case letters, digits and hyphens.
	Name string
	// Summary is one line for "herald plugins".
	Summary string
	// New returns a door that has taken nothing yet.
	New func() Door
}

// Door serves one protocol. The host calls Config, Validate, Open and Run, in
// that order and each once; Run is called whenever Open succeeded.
type Door interface {
	// Config returns a pointer to the door's settings, a struct filled with their
	// defaults. Its fields are of kinds bool, string, int, float64,
	// time.Duration or []string, or structs of those, and are tagged
	// `config:"name" usage:"what it does"`. The host decodes onto it what the
	// user set, and refuses names it does not have.
	Config() any
	// Validate says what is wrong with the settings, by their names.
	Validate() error
	// Open takes what the door needs and binds its sockets, so that every
	// address is known when it returns. A socket that cannot be bound fails with
	// a *ListenError. A failed Open leaves nothing taken.
	Open(ctx context.Context, h *Host) error
	// Addresses are what the door listens on, once it is open.
	Addresses() []Address
	// Run serves until ctx ends, then stops taking new work, lets what is under
	// way finish for at most Host.DrainTimeout, closes everything Open took and
	// returns. It returns nil after an orderly end.
	Run(ctx context.Context) error
}

// Reloader is a Door of which some settings may change while it runs.
type Reloader interface {
	// Reload takes the settings that may change from config, which is what Config
	// returns, filled anew and valid. It returns the names of those that differ
	// from what the door runs with and need a restart. After an error everything is
	// as it was. It may be called at any time after Open, also after Run has returned.
	Reload(config any) (restart []string, err error)
}

// Readiness is a Door that is not ready to serve as soon as it is open.
type Readiness interface {
	// Ready says why the door's clients should not be sent here yet, or nil. It may be called
	// by any number of goroutines at any time after Open, also after Run has returned, and must
	// answer at once.
	Ready() error
}

// Address is something a door listens on.
type Address struct {
	// Network is "tcp", "udp" or "unix".
	Network string
	// Address is as net.Listener has it: with the real port.
	Address string
	// Use says what for, such as "Consul's HTTP API".
	Use string
}

// ListenError is a socket that could not be bound.
type ListenError struct {
	// Setting is the name of the setting that holds the address, within the door.
	Setting string
	Address string
	Err     error
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("cannot listen on %s (setting %q): %v", e.Address, e.Setting, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }
