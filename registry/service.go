package registry

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// HealthStatus is the health of a check, an instance or a node.
// The zero value is not a status.
type HealthStatus string

// The statuses, from best to worst.
const (
	Passing  HealthStatus = "passing"
	Warning  HealthStatus = "warning"
	Critical HealthStatus = "critical"
)

// Valid reports whether s is one of the three statuses.
func (s HealthStatus) Valid() bool { return s == Passing || s == Warning || s == Critical }

// Worse returns the worse of two statuses. Nothing known ("") is passing.
func (s HealthStatus) Worse(t HealthStatus) HealthStatus {
	if s.rank() >= t.rank() {
		return s.orPassing()
	}
	return t.orPassing()
}

func (s HealthStatus) orPassing() HealthStatus {
	if s == "" {
		return Passing
	}
	return s
}

func (s HealthStatus) rank() int {
	switch s {
	case Passing, "":
		return 0
	case Warning:
		return 1
	default:
		return 2
	}
}

// Node is a machine, or whatever stands for one, that instances run on.
// Names are unique, whatever their case.
type Node struct {
	Name            string
	ID              string // a UUID, or ""
	Address         string
	TaggedAddresses map[string]string
	Meta            map[string]string
}

// ServiceAddress is an address and port of an instance under a tag such as "lan".
type ServiceAddress struct {
	Address string
	Port    int
}

// Weights are an instance's shares of the traffic, by health.
type Weights struct {
	Passing int
	Warning int
}

// DefaultWeights is what an instance that names none has.
func DefaultWeights() Weights { return Weights{Passing: 1, Warning: 1} }

// Instance is one registered endpoint of a service. (Node, ID) is unique.
type Instance struct {
	Node              string
	ID                string
	Service           string
	Tags              []string
	Address           string // "" means the node's
	Port              int
	TaggedAddresses   map[string]ServiceAddress
	Meta              map[string]string
	Weights           Weights
	EnableTagOverride bool
	SocketPath        string
}

// Check is a health check as the catalog holds it. (Node, ID) is unique. A
// check with no ServiceID is the node's own and counts for all its instances.
type Check struct {
	Node        string
	ID          string
	Name        string
	Status      HealthStatus
	Notes       string
	Output      string
	ServiceID   string
	ServiceName string
	Kind        string // "http", "tcp", "ttl", …; "" if nobody runs it
	Interval    time.Duration
	Timeout     time.Duration
}

// NodeCheckID is the id of the check that says whether a node's agent is alive.
// Clients of the HTTP API look for it by this name.
const NodeCheckID = "serfHealth"

// CheckDefinition says how an agent is to check an instance, or its node.
type CheckDefinition struct {
	ID   string // "" takes "service:<instance id>", numbered from 1 if there are several
	Name string // "" takes "Service '<name>' check"
	// Kind selects the check kind: "http", "tcp", "ttl", "exec" and others of agent/check, or a plugin's.
	Kind string
	// Interval is the time between runs and Timeout how long one may take; they
	// are not for ttl. TTL is how long a reported status holds; only for ttl.
	Interval time.Duration
	Timeout  time.Duration
	TTL      time.Duration
	// Spec is what the kind needs to know, by the kind's own names. For http:
	// url, method, header, body, tls_skip_verify, tls_server_name,
	// disable_redirects. For tcp: address. For exec: args, and shell for a
	// command line.
	Spec map[string]any
	// Status is the status before the first run; "" is critical.
	Status HealthStatus
	Notes  string
	// ServiceID attaches a check that is registered by itself to an instance
	// of this agent.
	ServiceID string
	// How many results in a row change the status; 0 and 1 are at once, but a
	// FailuresBeforeWarning of 0 takes FailuresBeforeCritical: no warning first.
	// They are not for ttl.
	SuccessBeforePassing   int
	FailuresBeforeWarning  int
	FailuresBeforeCritical int
	// DeregisterAfter removes the instance once the check has been critical
	// that long; 0 is never.
	DeregisterAfter time.Duration
	// OutputMaxSize bounds the output kept, in bytes; 0 is 4096.
	OutputMaxSize int
}

// ServiceDefinition is what is to be advertised: an instance without its node,
// and how to check it.
type ServiceDefinition struct {
	ID                string // "" takes Name
	Name              string
	Tags              []string
	Address           string
	Port              int
	TaggedAddresses   map[string]ServiceAddress
	Meta              map[string]string
	Weights           *Weights // nil takes DefaultWeights
	EnableTagOverride bool
	SocketPath        string
	Checks            []CheckDefinition
	// Lease is one that the service goes with, as it does with the agent's own; 0 is
	// none. It is of one registration, not of the document that defines a service.
	Lease LeaseID `json:",omitempty"` // agents keep definitions as JSON, those from before it too
}

// Instance returns the instance that d describes, on a node.
func (d *ServiceDefinition) Instance(node string) Instance {
	w := DefaultWeights()
	if d.Weights != nil {
		w = *d.Weights
	}
	id := d.ID
	if id == "" {
		id = d.Name
	}
	return Instance{
		Node: node, ID: id, Service: d.Name, Tags: d.Tags, Address: d.Address, Port: d.Port,
		TaggedAddresses: d.TaggedAddresses, Meta: d.Meta, Weights: w,
		EnableTagOverride: d.EnableTagOverride, SocketPath: d.SocketPath,
	}
}

// DNSLabelProblem says why name cannot be one label of a DNS name (RFC 1035
// section 2.3.1, with digits allowed to lead as RFC 1123 has it), or "" if it
// can. A service whose name or tag cannot be looked up by DNS is still
// registered; the caller warns.
func DNSLabelProblem(name string) string {
	switch {
	case name == "":
		return "it is empty"
	case len(name) > 63:
		return fmt.Sprintf("it has %d bytes, and a DNS label has at most 63", len(name))
	}
	for _, r := range name {
		if !(r == '-' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z') {
			return fmt.Sprintf("it contains %q, and a DNS label holds only letters, digits and hyphens", r)
		}
	}
	if strings.HasPrefix(name, "-") || strings.HasSuffix(name, "-") {
		return "it begins or ends with a hyphen"
	}
	return ""
}

// IP parses an instance's or node's address as an IP address; ok is false if
// it is a host name. An IPv4 address in IPv6 form is IPv4.
func IP(address string) (ip netip.Addr, ok bool) {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return netip.Addr{}, false
	}
	return a.Unmap(), true
}
