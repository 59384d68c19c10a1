package peer

import (
	"errors"
	"log/slog"
	"math"
	"time"
)

// Identity is who a server is.
type Identity struct {
	Cluster string // "" while the server is part of none
	Node    string
}

// Target is whom to reach.
type Target struct {
	Node    string // "" takes whoever answers
	Address string
}

// Config is what a Port needs. Self is required, and Address.
type Config struct {
	// Address is what to listen on.
	Address string
	// Advertise is where others reach this server, "" for the address that was bound.
	// A name is kept as it is and resolved by whoever dials it.
	Advertise string
	// Network is TCP if it is nil.
	Network Network
	// Self says who this server is. It is called in every handshake and once each PingInterval,
	// from any goroutine; connections made under another identity are then replaced.
	Self func() Identity
	// Met, if it is set, is told who was found at an address that this server dialled,
	// also if it was another than the one meant, but never a server of another cluster. It must
	// not block.
	Met func(id Identity, address string)
	// EncodeError and DecodeError carry a handler's error to the caller. If they are
	// nil, its text is carried.
	EncodeError func(error) []byte
	DecodeError func([]byte) error
	// DialTimeout bounds a dial with its handshake. 1 s if it is 0.
	DialTimeout time.Duration
	// PingInterval is how often each side of a connection is heard; three silent ones end it.
	// It has to be about the same on all servers. 1 s if it is 0.
	PingInterval time.Duration
	// MaxMessage bounds a request and an answer, in bytes. 48 MiB if it is 0.
	MaxMessage int
	// Log is slog.Default if it is nil.
	Log *slog.Logger
}

func (c *Config) complete() error {
	if c.Self == nil {
		return errors.New("peer: Config.Self is not set")
	}
	if c.DialTimeout < 0 || c.PingInterval < 0 || c.MaxMessage < 0 || c.MaxMessage > math.MaxInt32 {
		return errors.New("peer: a negative timeout or limit, or a message limit over 2 GiB")
	}
	if c.Network == nil {
		c.Network = tcp{}
	}
	if c.EncodeError == nil {
		c.EncodeError = func(err error) []byte { return []byte(err.Error()) }
	}
	if c.DecodeError == nil {
		c.DecodeError = func(b []byte) error { return errors.New(string(b)) }
	}
	if c.DialTimeout == 0 {
		c.DialTimeout = time.Second
	}
	if c.PingInterval == 0 {
		c.PingInterval = time.Second
	}
	if c.MaxMessage == 0 {
		c.MaxMessage = 48 << 20
	}
	if c.Log == nil {
		c.Log = slog.Default()
	}
	return nil
}
