package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/spf13/pflag"

	"herald/internal/node"
	"herald/registry/plugin"
)

// reload reads the agent's configuration directories and the settings again, and makes
// what may change while the process runs what they say.
func (p *program) reload(ctx context.Context, c *config, n *node.Node, log *slog.Logger) error {
	next, err := c.again(p.plugins)
	if err != nil {
		return fmt.Errorf("nothing was reloaded: %w", err)
	}
	if err := n.Reload(ctx); err != nil {
		return err
	}
	var errs []error
	for _, d := range c.doors {
		door, ok := d.Door.(plugin.Reloader)
		i := slices.IndexFunc(next.doors, func(other node.NamedDoor) bool { return other.Name == d.Name })
		if !ok || i < 0 {
			continue
		}
		restart, err := door.Reload(next.doors[i].Door.Config())
		if err != nil {
			errs = append(errs, fmt.Errorf("doors.%s: %w", d.Name, err))
		}
		for _, name := range restart {
			log.Warn("a setting has changed that needs a restart", "setting", "doors."+d.Name+"."+name)
		}
	}
	return errors.Join(errs...)
}

// again reads the settings anew, from where they were read at the start: the same
// flags, the file as it is now, and the environment.
func (c *config) again(reg *plugin.Registry) (*config, error) {
	next := newConfig(reg, pflag.NewFlagSet("", pflag.ContinueOnError))
	next.startFrom(c.role)
	next.addFlags()
	var errs []error
	c.flags.Visit(func(f *pflag.Flag) {
		to := next.flags.Lookup(f.Name)
		if to == nil {
			return // not a setting
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			errs = append(errs, to.Value.(pflag.SliceValue).Replace(list.GetSlice()))
			to.Changed = true
			return
		}
		errs = append(errs, next.flags.Set(f.Name, f.Value.String()))
	})
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return next, next.load()
}
