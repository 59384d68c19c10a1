package cli

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"herald/internal/node"
	"herald/registry/plugin"
)

// settingsAgain reads the settings of a running process again. What it returns makes those
// hold that may change while the process runs, and says in the log which of the others have
// changed.
func (p *program) settingsAgain(c *config, log *slog.Logger) (adopt func() error, err error) {
	next, err := c.again(p.plugins)
	if err != nil {
		return nil, err
	}
	return func() error { return c.adopt(next, log) }, nil
}

// adopt makes next's settings those of the process, as far as it can while it runs.
func (c *config) adopt(next *config, log *slog.Logger) error {
	level, err := parseLevel(next.core.Log.Level)
	if err != nil {
		return err
	}
	c.level.Set(level)
	live := map[string]bool{"log.level": true}
	var restart []string
	var errs []error
	for _, d := range c.doors {
		door, ok := d.Door.(plugin.Reloader)
		i := slices.IndexFunc(next.doors, func(other node.NamedDoor) bool { return other.Name == d.Name })
		if !ok || i < 0 {
			continue
		}
		changed, err := door.Reload(next.doors[i].Door.Config())
		if err != nil {
			errs = append(errs, fmt.Errorf("doors.%s: %w", d.Name, err))
		}
		prefix := "doors." + d.Name + "."
		for name := range c.loaded {
			live[name] = live[name] || strings.HasPrefix(name, prefix) // the door has said which are not
		}
		for _, name := range changed {
			restart = append(restart, prefix+name)
		}
	}
	for name, was := range c.loaded {
		if !live[name] && !reflect.DeepEqual(was, next.loaded[name]) {
			restart = append(restart, name)
		}
	}
	slices.Sort(restart)
	for _, name := range restart {
		log.Warn("a setting has changed that needs a restart", "setting", name)
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
