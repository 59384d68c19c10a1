// Package plugin is how a door, a kind of health check or a source of services joins
// Herald: it registers a description of itself, usually from an init function in
// a file called setup.go, and is compiled in by a blank import.
//
// The registrar is strict. An empty name, a missing constructor or a name that is
// taken panics at start-up, since each is a mistake of the program. Registry is a
// value; Default is the one that init functions use.
//
// A plugin is built in steps, each of its own: New has no side effects; Config
// returns the settings, filled with their defaults, for the host to decode the
// user's onto; Validate looks at them; Open takes resources; Run works until its
// context ends. The package starts no goroutine.
package plugin
