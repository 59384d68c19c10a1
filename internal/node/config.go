package node

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"herald/agent"
	"herald/raftstore"
	"herald/registry"
	"herald/registry/plugin"
)

// Config is what a process is made of. Everything in it has been validated by
// its own package's rules before Open is called, except what Open itself checks.
type Config struct {
	// Datacenter is the name of this datacenter in every door.
	Datacenter string
	Version    string

	// Store opens a server's store. nil makes an agent's process, which needs
	// Upstream and Servers instead.
	Store *raftstore.Config
	// Upstream is where an agent's process advertises.
	Upstream agent.Upstream
	// Servers are the base URLs of the servers' HTTP doors, for an agent's process.
	Servers []string

	// Agent configures the local agent. Its node's ID is filled in by Open.
	Agent agent.Config
	// Checks are the kinds of health check the agent can run.
	Checks []plugin.CheckInfo
	// Sources tell the agent of more to advertise.
	Sources []NamedSource
	// Doors are the doors to open, settings decoded and validated.
	Doors []NamedDoor

	// DrainTimeout bounds how long a door may take to finish what is under way,
	// and then the agent to withdraw what it advertised.
	DrainTimeout time.Duration
	Log          *slog.Logger

	// Settings reads the process's settings again, changing nothing, and returns what makes those
	// hold that may change while it runs. Reload calls it, one call at a time. nil reads none.
	Settings func() (adopt func() error, err error)
}

// NamedDoor is a door under the name it is configured by.
type NamedDoor struct {
	Name string
	Door plugin.Door
}

// NamedSource is a source of services under the name it is configured by.
type NamedSource struct {
	Name   string
	Source plugin.Source
}

// DefaultDrainTimeout is enough for every request but a long blocking query,
// which the doors end early.
const DefaultDrainTimeout = 5 * time.Second

// Validate says what is missing or contradicts itself.
func (c *Config) Validate() error {
	switch {
	case c.Agent.Node.Name == "":
		return errors.New("the node has no name: set node.name")
	case c.Datacenter == "":
		return errors.New("the datacenter has no name: set datacenter")
	case c.Store == nil && c.Upstream == nil:
		return errors.New("an agent needs servers to advertise to: set join")
	case c.DrainTimeout < 0:
		return fmt.Errorf("drain timeout is %v: it cannot be negative", c.DrainTimeout)
	}
	return nil
}

func (c *Config) checkers() map[string]registry.NewChecker {
	kinds := make(map[string]registry.NewChecker, len(c.Checks))
	for _, k := range c.Checks {
		kinds[k.Name] = k.New
	}
	return kinds
}
