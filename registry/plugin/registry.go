package plugin

import (
	"fmt"
	"regexp"
	"slices"
	"sync"
)

// Registry holds what has been registered. The zero Registry is empty and ready;
// it is safe for concurrent use.
type Registry struct {
	mu      sync.Mutex
	doors   table[DoorInfo]
	checks  table[CheckInfo]
	sources table[SourceInfo]
}

// Default is the registry that plugins register with as they are imported.
var Default = &Registry{}

// Door registers a door.
func (r *Registry) Door(d DoorInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.doors.add("door", d.Name, d.New != nil, d)
}

// Check registers a kind of health check.
func (r *Registry) Check(c CheckInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks.add("check kind", c.Name, c.New != nil, c)
}

// Source registers a source of services.
func (r *Registry) Source(s SourceInfo) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sources.add("service source", s.Name, s.New != nil, s)
}

// Doors returns the doors, by name.
func (r *Registry) Doors() []DoorInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.doors.sorted()
}

// Checks returns the kinds of health check, by name.
func (r *Registry) Checks() []CheckInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.checks.sorted()
}

// Sources returns the sources of services, by name.
func (r *Registry) Sources() []SourceInfo {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sources.sorted()
}

var validName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// table maps names to descriptions of one type.
type table[T any] map[string]T

func (t *table[T]) add(what, name string, complete bool, v T) {
	switch _, taken := (*t)[name]; {
	case !validName.MatchString(name):
		panic(fmt.Sprintf("plugin: %s %q: a name is lower-case letters, digits and hyphens", what, name))
	case !complete:
		panic(fmt.Sprintf("plugin: %s %q has no constructor", what, name))
	case taken:
		panic(fmt.Sprintf("plugin: %s %q is registered twice", what, name))
	}
	if *t == nil {
		*t = table[T]{}
	}
	(*t)[name] = v
}

func (t table[T]) sorted() []T {
	names := make([]string, 0, len(t))
	for name := range t {
		names = append(names, name)
	}
	slices.Sort(names)
	all := make([]T, 0, len(t))
	for _, name := range names {
		all = append(all, t[name])
	}
	return all
}
