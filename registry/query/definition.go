package query

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// TypeNamePrefix is the one type of template there is: it answers for every name that
// begins with its own.
const TypeNamePrefix = "name_prefix_match"

// Definition is a prepared query. Its JSON is what the HTTP API calls the fields, and
// what the store keeps.
type Definition struct {
	ID   string // a UUID, given when it is created
	Name string // what it is asked for by, whatever its case; of a template, the prefix
	// Session is the session that it goes with, "" if it stays until it is deleted.
	Session string
	// Token is kept for clients that compare what they read with what they wrote.
	Token    string
	Template Template
	Service  Service
	DNS      DNS
}

// Template makes a definition answer for many names.
type Template struct {
	Type   string // "" is no template, TypeNamePrefix one
	Regexp string // its groups are ${match(1)} and so on in the fields of Service
	// RemoveEmptyTags leaves out the tags of which nothing is left.
	RemoveEmptyTags bool
}

// Service says which instances are wanted.
type Service struct {
	Service string
	// Failover says where else to look. There are no other datacenters, so nothing
	// comes of it.
	Failover    Failover
	OnlyPassing bool // leaves out what has a warning, too
	// IgnoreCheckIDs are checks that have no say.
	IgnoreCheckIDs []string
	// Near is the node whose instances come first, "_agent" for the asker's own.
	Near string
	// Tags have to be there, in any case; those with a "!" before them must not.
	Tags        []string
	NodeMeta    map[string]string
	ServiceMeta map[string]string

	// What Herald does not have. Anything but an empty value is refused by name.
	Connect       bool   `json:",omitempty"`
	SamenessGroup string `json:",omitempty"`
	Peer          string `json:",omitempty"`
	Namespace     string `json:",omitempty"`
	Partition     string `json:",omitempty"`
}

// Failover is where else to look when nothing is found.
type Failover struct {
	NearestN    int
	Datacenters []string
	Targets     []FailoverTarget `json:",omitempty"`
}

// FailoverTarget is one place to look.
type FailoverTarget struct {
	Peer       string `json:",omitempty"`
	Datacenter string `json:",omitempty"`
	Partition  string `json:",omitempty"`
	Namespace  string `json:",omitempty"`
}

// DNS is how the answer is given over DNS.
type DNS struct {
	TTL string // a duration; "" takes what the service has
}

// MaxBytes bounds a definition as it is kept.
const MaxBytes = 64 << 10

// InvalidError says what is wrong with a definition. It is registry.ErrInvalid to
// errors.Is.
type InvalidError struct{ Problem string }

func (e *InvalidError) Error() string { return e.Problem }

// Is makes errors.Is(err, registry.ErrInvalid) hold.
func (e *InvalidError) Is(target error) bool { return target == registry.ErrInvalid }

func invalid(format string, args ...any) error {
	return &InvalidError{fmt.Sprintf(format, args...)}
}

// IsTemplate says that d answers for many names.
func (d *Definition) IsTemplate() bool { return d.Template.Type != "" }

// TTL is the time that DNS answers may be kept; ok is false if d does not say.
func (d *Definition) TTL() (ttl time.Duration, ok bool) {
	ttl, err := time.ParseDuration(d.DNS.TTL)
	return ttl, err == nil
}

// Validate says why d cannot be kept. Errors are *InvalidError.
func (d *Definition) Validate() error {
	if err := d.validateName(); err != nil {
		return err
	}
	if err := d.validateTemplate(); err != nil {
		return err
	}
	s := &d.Service
	switch {
	case s.Service == "":
		return invalid("Must provide a Service name to query")
	case s.Connect:
		return invalid("Service.Connect is set, and Herald has no Connect proxies: leave it out")
	case s.SamenessGroup != "" || s.Peer != "" || s.Namespace != "" || s.Partition != "":
		return invalid("Service names a sameness group, peer, namespace or partition, and Herald has none: leave them out")
	case s.Failover.NearestN < 0:
		return invalid("Bad NearestN '%d', must be >= 0", s.Failover.NearestN)
	}
	if d.DNS.TTL != "" {
		if ttl, ok := d.TTL(); !ok || ttl < 0 {
			return invalid("Bad DNS TTL '%s': want a duration of 0 or more, such as 10s", d.DNS.TTL)
		}
	}
	return nil
}

func (d *Definition) validateName() error {
	switch {
	case d.Name == "" && d.Session == "" && !d.IsTemplate():
		return invalid("Must have a Name, or be bound to a Session")
	case IsID(d.Name):
		return invalid("Name %q has the form of a query's ID, and would be taken for one: choose another", d.Name)
	case len(d.Name) > catalog.MaxNameBytes:
		return invalid("Name has %d bytes, and may have %d", len(d.Name), catalog.MaxNameBytes)
	case strings.Contains(d.Name, "/"):
		return invalid("Name %q has a slash, and could not be asked for", d.Name)
	}
	return nil
}

func (d *Definition) validateTemplate() error {
	t := &d.Template
	switch t.Type {
	case "":
		if t.Regexp != "" {
			return invalid("Template.Regexp is set without Template.Type: want %q", TypeNamePrefix)
		}
		return nil
	case TypeNamePrefix:
	default:
		return invalid("Bad Template.Type '%s': want %q", t.Type, TypeNamePrefix)
	}
	if _, err := regexp.Compile(t.Regexp); err != nil {
		return invalid("Bad Template.Regexp: %v", err)
	}
	_, err := d.Render(d.Name)
	return err
}

var id = regexp.MustCompile(`^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$`)

// IsID says that what a query is called by is an ID, not a name.
func IsID(s string) bool { return id.MatchString(s) }

// fold makes names that differ in case alone the same. As in DNS, only the letters of
// ASCII have a case, so that a prefix is as long as what it is compared with.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + ('a' - 'A')
		}
		return r
	}, name)
}
