package workload

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Kind names a workload.
type Kind string

// The workloads.
const (
	// KV reads, writes and compares registers, over HTTP and its transactions, etcd's API and
	// the Go contract.
	KV Kind = "kv"
	// Acks writes keys once each and counts on them.
	Acks Kind = "acks"
	// Watches follows prefixes over watches, and keys, prefixes and services over blocking
	// queries, while history is compacted. It needs somebody to write: KV, Acks or both.
	Watches Kind = "watches"
	// Locks takes locks, by leases, sessions of the HTTP API and mutexes of etcd's clients, and
	// writes to what they guard.
	Locks Kind = "locks"
	// Leases keeps leases and sessions alive, or lets them die.
	Leases Kind = "leases"
	// Services registers services over HTTP and asks for them over DNS.
	Services Kind = "services"
	// Hashes compares the servers' states.
	Hashes Kind = "hashes"
)

// Kinds are all workloads.
func Kinds() []Kind {
	return []Kind{KV, Acks, Watches, Locks, Leases, Services, Hashes}
}

// Config is what the clients are to do.
type Config struct {
	// Seed decides what the clients choose. What they see depends on timing as well.
	Seed uint64
	// Kinds are the workloads that run.
	Kinds []Kind
	// Clients is how many clients each workload has that writes.
	Clients int
	// Pause is how long a client rests after an operation, on average.
	Pause time.Duration
	// Patience is how long a client waits for an answer.
	Patience time.Duration
	// TTL is the shortest time to live of a lease. Leases have it or up to twice as much.
	TTL time.Duration
	// Compact is how often history is compacted; 0 is never.
	Compact time.Duration
	// Domain is the servers' DNS domain.
	Domain string
	// Drift is told to the checkers: see history.Plan.
	Drift float64
}

// DefaultConfig is every workload at a pace that leaves a small machine room for the
// servers.
func DefaultConfig() Config {
	return Config{
		Kinds:    Kinds(),
		Clients:  4,
		Pause:    40 * time.Millisecond,
		Patience: 3 * time.Second,
		TTL:      3 * time.Second,
		Compact:  5 * time.Second,
		Domain:   "consul",
	}
}

// Validate says what is wrong with a Config.
func (c *Config) Validate() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf("workload: "+format, args...))
		}
	}
	bad(len(c.Kinds) == 0, "no workload is chosen, want some of %v", Kinds())
	for _, k := range c.Kinds {
		bad(!slices.Contains(Kinds(), k), "there is no workload %q, want some of %v", k, Kinds())
	}
	bad(c.Clients < 1, "%d clients, want 1 or more", c.Clients)
	bad(c.Pause < 0, "pause is %v, want 0 or more", c.Pause)
	bad(c.Patience <= 0, "patience is %v, want more than 0", c.Patience)
	bad(c.TTL < time.Second, "time to live is %v, want 1s or more: a client renews in thirds of it", c.TTL)
	bad(c.Compact < 0, "compaction every %v, want 0 (never) or more", c.Compact)
	bad(c.Drift < 0 || c.Drift >= 1, "drift is %v, want a share from 0 up to below 1", c.Drift)
	bad(c.runs(Services) && c.Domain == "", "the domain is empty, and the services workload asks for names in it")
	bad(c.runs(Watches) && !c.runs(KV) && !c.runs(Acks), "the watches workload has nothing to watch without kv or acks")
	return errors.Join(errs...)
}

func (c *Config) runs(k Kind) bool { return slices.Contains(c.Kinds, k) }
