package agent

import (
	"fmt"
	"strings"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

// Config is what an agent is told at start.
type Config struct {
	// Node is what everything is advertised under.
	Node registry.Node
	// LeaseTTL is how long the catalog keeps what a dead agent advertised; at least
	// 1 s. Shorter is noticed sooner, and costs a keepalive every third of it.
	LeaseTTL time.Duration
	// ConfigDirs are directories whose *.json files define services and checks.
	ConfigDirs []string
	// DataDir is where registrations outlive the process; "" keeps nothing. It
	// belongs to one agent alone.
	DataDir string
	// Services are advertised beside all others for as long as the agent runs, such
	// as a server's own.
	Services []registry.ServiceDefinition
	// AllowExec lets the API and sources define exec checks.
	AllowExec bool
	// Hooks observe; the zero Hooks observe nothing.
	Hooks Hooks
}

// Hooks are called as things happen, by the goroutine they happen in. They must
// be quick and safe for concurrent use. Each may be nil.
type Hooks struct {
	CheckRun   func(kind string, found registry.HealthStatus, took time.Duration)
	Advertised func(took time.Duration, err error)
	KeptAlive  func(took time.Duration, err error)
}

// DefaultConfig is a Config that lacks only its Node.
func DefaultConfig() Config {
	return Config{LeaseTTL: 15 * time.Second}
}

const (
	minLeaseTTL = time.Second
	// antiEntropy is how often the catalog is compared with the desired state
	// although nothing changed. It heals what somebody else deleted.
	antiEntropy = 3 * time.Minute
	// confirmAfter is how soon that is done after a write whose fate was unknown
	// for a time: an old one may have landed on top of a newer.
	confirmAfter = 15 * time.Second
	// advertiseTimeout bounds one attempt to advertise, stopTimeout the lease's
	// revocation at the end.
	advertiseTimeout = 10 * time.Second
	stopTimeout      = 3 * time.Second
	// advertiseRetryMax is the longest wait between attempts to advertise, and
	// takenRetryMax while another node has the name: that is often the one that this
	// one replaces, and its services are to be back soon after its lease has run out.
	advertiseRetryMax = 5 * time.Second
	takenRetryMax     = 2 * time.Second
	// heldEvery is how often leases that services hang from are asked for, and so how
	// late their revocation is noticed; heldSoonest keeps one that is about to run out
	// from being asked for without end. heldTimeout bounds each call.
	heldEvery   = 5 * time.Second
	heldSoonest = 250 * time.Millisecond
	heldTimeout = 5 * time.Second
	// aliasWait is how long one question for another node waits for it to change.
	aliasWait = 5 * time.Minute
	// outputEvery is how often a change of output alone is advertised.
	outputEvery = 5 * time.Minute
	// loggedOutput is how much of a check's output the log gets, in bytes.
	loggedOutput = 200
	// reapEvery is how often services to be withdrawn are looked for, reapAfterMin
	// the least a check may ask for.
	reapEvery    = 30 * time.Second
	reapAfterMin = time.Minute
	// minInterval keeps a check from spinning.
	minInterval = 100 * time.Millisecond
)

// Validate says what is wrong with the configuration. A LeaseTTL of 0 takes the default.
func (c *Config) Validate() error {
	if c.LeaseTTL == 0 {
		c.LeaseTTL = DefaultConfig().LeaseTTL
	}
	if c.LeaseTTL < minLeaseTTL || c.LeaseTTL > registry.MaxTTL {
		return fmt.Errorf("agent: %w: the lease's is %v, and must be from %v to %v", registry.ErrInvalidTTL, c.LeaseTTL, minLeaseTTL, registry.MaxTTL)
	}
	if strings.TrimSpace(c.Node.Name) == "" {
		return fmt.Errorf("agent: %w: the node has no name", registry.ErrInvalidDefinition)
	}
	if err := catalog.ValidateNode(c.Node); err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	return nil
}
