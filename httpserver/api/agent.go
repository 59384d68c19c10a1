package api

// AgentService is an instance that the local agent advertises.
type AgentService struct {
	ID                string
	Service           string
	Tags              []string          // never null
	Meta              map[string]string // never null
	Port              int
	Address           string
	SocketPath        string                    `json:",omitempty"`
	TaggedAddresses   map[string]ServiceAddress `json:",omitempty"`
	Weights           Weights
	EnableTagOverride bool
	// ContentHash changes when the definition does; GET /v1/agent/service/<id> has it.
	ContentHash string `json:",omitempty"`
	Datacenter  string
	Kind        string  `json:",omitempty"` // always "", as Foreign
	Proxy       Proxy   `json:",omitzero"`
	Connect     Connect `json:",omitzero"`
	Foreign
}

// AgentServiceHealth is a local instance with its aggregated health.
type AgentServiceHealth struct {
	AggregatedStatus string
	Service          *AgentService
	Checks           []HealthCheck
}

// AgentMember is a process of the cluster, server or agent.
type AgentMember struct {
	Name   string
	Addr   string
	Port   int
	Tags   map[string]string
	Status int // 1 alive, 4 failed

	// The protocol versions that Consul's clients expect to find.
	ProtocolMin, ProtocolMax, ProtocolCur uint8
	DelegateMin, DelegateMax, DelegateCur uint8
}

// The states of an AgentMember.
const (
	MemberAlive  = 1
	MemberFailed = 4
)

// AgentSelf is what GET /v1/agent/self answers.
type AgentSelf struct {
	Config      AgentConfig
	Coord       map[string]any
	Member      AgentMember
	Stats       map[string]map[string]string
	Meta        map[string]string
	DebugConfig map[string]any
}

// AgentConfig is the part of an agent's configuration that clients read.
type AgentConfig struct {
	Datacenter        string
	PrimaryDatacenter string
	NodeName          string
	NodeID            string
	Server            bool
	Revision          string
	Version           string
	BuildDate         string
	// SessionTTLMin is in nanoseconds. Patroni looks here when its TTL was refused.
	SessionTTLMin int64
}

// CheckUpdate is the body of PUT /v1/agent/check/update/<id>.
type CheckUpdate struct {
	Status string
	Output string
}
