package httpserver

import (
	"fmt"
	"reflect"

	"herald/registry/plugin"
)

var _ plugin.Reloader = (*Door)(nil)

// Reload implements plugin.Reloader: the limits take effect at once.
func (d *Door) Reload(config any) (restart []string, err error) {
	next, ok := config.(*Config)
	if !ok {
		return nil, fmt.Errorf("want the settings of an HTTP door, have %T", config)
	}
	if err := next.Validate(); err != nil {
		return nil, err
	}
	if d.surface == nil {
		return nil, nil // it is not open, and will not be
	}
	// All that is not a limit stays as it was opened with.
	now := d.surface.cfg
	now.MaxValueBytes, now.MaxBodyBytes, now.MaxKeyBytes = next.MaxValueBytes, next.MaxBodyBytes, next.MaxKeyBytes
	now.MaxBlockedQueries, now.MaxBlockedPerClient = next.MaxBlockedQueries, next.MaxBlockedPerClient
	now.MaxRequestsPerClient, now.MaxRequestsBurst = next.MaxRequestsPerClient, next.MaxRequestsBurst
	now.LimitLoopback = next.LimitLoopback
	d.surface.adopt(now)
	return differences(now, *next), nil
}

// differences are the names of the settings in which two configurations differ.
func differences(a, b Config) []string {
	var names []string
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	for i := range x.NumField() {
		if !reflect.DeepEqual(x.Field(i).Interface(), y.Field(i).Interface()) {
			names = append(names, x.Type().Field(i).Tag.Get("config"))
		}
	}
	return names
}

// live are the settings as they are now, of which the limits may change while the
// door runs; cfg are those it was opened with. They must not be modified.
func (s *surface) live() *Config { return s.current.Load() }

// adopt makes the settings those that hold.
func (s *surface) adopt(cfg Config) {
	s.current.Store(&cfg)
	s.clients.set(cfg.clientLimits())
}
