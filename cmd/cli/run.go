package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"

	"github.com/spf13/cobra"

	"herald/client"
	"herald/internal/node"
	"herald/registry"
	"herald/registry/plugin"
)

func (p *program) devCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Start a single node with every door on loopback",
		Long: `Start a single node with every door on loopback.

Its data goes to a temporary directory that is removed at the end, unless
--data-dir is given.`,
		Args: args(cobra.NoArgs),
	}
	c := newConfig(p.plugins, cmd.Flags())
	c.startFrom("dev")
	c.addFlags()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.load(); err != nil {
			return err
		}
		if c.core.DataDir == "" {
			dir, err := os.MkdirTemp("", "herald-dev-")
			if err != nil {
				return fmt.Errorf("no temporary data directory: %w; give one with --data-dir", err)
			}
			defer os.RemoveAll(dir)
			c.core.DataDir = dir
		}
		return p.run(cmd.Context(), c, true)
	}
	return cmd
}

func (p *program) serverCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "server",
		Short: "Start a server",
		Long: `Start a server.

Alone it is a cluster of one. To make a cluster of several, give each of them the same
--bootstrap-expect, and in --join the peer addresses of all (a name may stand for several); it makes
itself once so many know of each other, and never twice. Whoever is started later with --join is let
into the cluster it finds there, and votes when it has caught up. Once part of a cluster, a server
finds it again by itself.`,
		Example: "  herald server --data-dir /var/lib/herald --peer-address 10.0.0.1:7400 --bootstrap-expect 3 --join 10.0.0.1,10.0.0.2,10.0.0.3",
		Args:    args(cobra.NoArgs),
	}
	c := newConfig(p.plugins, cmd.Flags())
	c.addFlags()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.load(); err != nil {
			return err
		}
		if c.core.DataDir == "" {
			return &usageError{errNoDataDir}
		}
		return p.run(cmd.Context(), c, true)
	}
	return cmd
}

func (p *program) agentCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "agent",
		Short: "Start an agent, which advertises and checks the services of this host",
		Long: `Start an agent, which advertises and checks the services of this host.

What to advertise comes from files (--config-dir), from its HTTP API
(PUT /v1/agent/service/register), or both. Everything it advertises hangs on one
lease: when the agent dies, all of it is gone after --ttl.`,
		Example: "  herald agent --config-dir ./services --join 127.0.0.1:8500 --http-address 127.0.0.1:8501",
		Args:    args(cobra.NoArgs),
	}
	c := newConfig(p.plugins, cmd.Flags())
	c.startFrom("agent")
	c.addFlags()
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := c.load(); err != nil {
			return err
		}
		if len(c.core.Join) == 0 {
			return &usageError{errors.New("no servers to advertise to: give the HTTP address of one with --join")}
		}
		if c.enabled("doors", "dns") {
			return errors.New("doors.dns.enabled: an agent holds no copy of the catalog in this version and cannot answer DNS; ask a server")
		}
		return p.run(cmd.Context(), c, false)
	}
	return cmd
}

// run starts what the settings describe, says so, and works until ctx ends.
func (p *program) run(ctx context.Context, c *config, server bool) error {
	log := c.logger(p.err)
	c.warnOfVariables(log)
	cfg, err := p.nodeConfig(c, server, log)
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, cfg)
	if err != nil {
		return c.explainOpen(err)
	}
	p.announce(c, n)
	stop := p.announceReady(ctx, c, n)
	defer stop()
	unhook := onHangup(func() {
		if err := n.Reload(ctx); err != nil {
			log.Error("reload refused", "error", err)
		}
	})
	defer unhook()
	if server {
		tuning, stop := context.WithCancel(ctx)
		var tuned sync.WaitGroup
		tuned.Go(func() { tuneCollector(tuning) })
		defer tuned.Wait()
		defer stop()
	}
	return n.Run(ctx)
}

// nodeConfig turns the settings into a process.
func (p *program) nodeConfig(c *config, server bool, log *slog.Logger) (node.Config, error) {
	agentCfg, err := c.core.agentConfig()
	if err != nil {
		return node.Config{}, err
	}
	cfg := node.Config{
		Datacenter: c.core.Datacenter, Version: Version(),
		Agent: agentCfg, Checks: p.plugins.Checks(), Doors: c.doors, Sources: c.sources,
		DrainTimeout: c.core.DrainTimeout, Log: log,
		Settings: func() (func() error, error) { return p.settingsAgain(c, log) },
	}
	if server {
		store := c.core.storeConfig()
		store.Log = log
		if store.Join, err = peerAddresses(c.core.Join); err != nil {
			return node.Config{}, fmt.Errorf("join: %w", err)
		}
		cfg.Store = &store
		cfg.Agent.DataDir = filepath.Join(c.core.DataDir, "agent")
		return cfg, nil
	}
	cl, err := client.New(client.Config{Addresses: c.core.Join, Datacenter: c.core.Datacenter})
	if err != nil {
		return node.Config{}, fmt.Errorf("join: %w", err)
	}
	cfg.Upstream, cfg.Servers = cl, cl.Addresses()
	return cfg, nil
}

// explainOpen adds to an error what the user can do about it.
func (c *config) explainOpen(err error) error {
	var door *node.DoorError
	var listen *plugin.ListenError
	var socket *net.OpError
	switch {
	case errors.As(err, &door) && errors.As(err, &listen):
		return fmt.Errorf("%w; choose another address with %s", err, c.flagOf("doors."+door.Door+"."+listen.Setting))
	case errors.As(err, &socket) && socket.Op == "listen":
		return fmt.Errorf("%w (%s)", err, c.flagOf("peer.address"))
	case errors.Is(err, registry.ErrDataDirLocked):
		return fmt.Errorf("%w (%s)", err, c.flagOf("data_dir"))
	}
	return err
}
