package api

import "encoding/json"

// Node is a node of the catalog.
type Node struct {
	ID              string
	Node            string
	Address         string
	Datacenter      string
	TaggedAddresses map[string]string
	Meta            map[string]string
	CreateIndex     uint64
	ModifyIndex     uint64
	Foreign
}

// Foreign is what Consul's documents have and Herald's never do. It is never
// shown, but a filter may ask for it.
type Foreign struct {
	Namespace string `json:",omitempty"`
	Partition string `json:",omitempty"`
	PeerName  string `json:",omitempty"`
}

// Proxy is what a service of Consul's mesh is a proxy for; as Foreign.
type Proxy struct {
	DestinationServiceName string `json:",omitempty"`
	DestinationServiceID   string `json:",omitempty"`
	LocalServiceAddress    string `json:",omitempty"`
	LocalServicePort       int    `json:",omitempty"`
	Mode                   string `json:",omitempty"`
}

// Connect says that a service takes part in Consul's mesh by itself; as Foreign.
type Connect struct {
	Native bool `json:",omitempty"`
}

// ServiceAddress is an address and port of an instance under a tag.
type ServiceAddress struct {
	Address string
	Port    int
}

// Weights are an instance's shares of the traffic, by health.
type Weights struct {
	Passing int
	Warning int
}

// NodeService is an instance as its node and the health endpoints show it.
type NodeService struct {
	ID                string
	Service           string
	Tags              []string                  // never null
	Address           string                    // "" means the node's
	TaggedAddresses   map[string]ServiceAddress `json:",omitempty"`
	Meta              map[string]string         // null if there is none
	Port              int
	SocketPath        string `json:",omitempty"`
	Weights           Weights
	EnableTagOverride bool
	CreateIndex       uint64
	ModifyIndex       uint64
	Kind              string  `json:",omitempty"` // always "", as Foreign
	Proxy             Proxy   `json:",omitzero"`
	Connect           Connect `json:",omitzero"`
	Foreign
}

// CatalogNode is what GET /v1/catalog/node/<node> answers.
type CatalogNode struct {
	Node     *Node
	Services map[string]NodeService // by id
}

// CatalogNodeServices is what GET /v1/catalog/node-services/<node> answers.
type CatalogNodeServices struct {
	Node     *Node
	Services []NodeService // by id; null for an unknown node
}

// CatalogService is an instance with its node, flat, as GET
// /v1/catalog/service/<service> answers it.
type CatalogService struct {
	ID                       string // the node's
	Node                     string
	Address                  string // the node's
	Datacenter               string
	TaggedAddresses          map[string]string
	NodeMeta                 map[string]string
	ServiceKind              string
	ServiceID                string
	ServiceName              string
	ServiceTags              []string                  // never null
	ServiceAddress           string                    // "" means the node's
	ServiceTaggedAddresses   map[string]ServiceAddress `json:",omitempty"`
	ServiceWeights           Weights
	ServiceMeta              map[string]string // never null
	ServicePort              int
	ServiceSocketPath        string
	ServiceEnableTagOverride bool
	CreateIndex              uint64
	ModifyIndex              uint64
	ServiceProxy             Proxy   `json:",omitzero"`
	ServiceConnect           Connect `json:",omitzero"`
	Foreign
}

// CatalogRegistration is the body of PUT /v1/catalog/register.
type CatalogRegistration struct {
	ID              string // the node's, a UUID
	Node            string
	Address         string
	TaggedAddresses map[string]string
	NodeMeta        map[string]string
	Datacenter      string
	Service         *ServiceRegistration
	Check           *CheckRegistration
	Checks          []CheckRegistration
	// SkipNodeUpdate leaves a node that is there as it is.
	SkipNodeUpdate bool

	// What Consul's clients send along and Herald does not have. Anything but an
	// empty value is refused by name.
	Namespace, Partition, PeerName, Locality json.RawMessage `json:",omitempty"`
}

// ServiceRegistration is the instance of a CatalogRegistration.
type ServiceRegistration struct {
	ID                string // "" takes Service
	Service           string
	Tags              []string
	Address           string
	TaggedAddresses   map[string]ServiceAddress
	Meta              map[string]string
	Port              int
	SocketPath        string
	Weights           *Weights
	EnableTagOverride bool

	// Sent back by clients that read it; Herald keeps its own.
	CreateIndex, ModifyIndex uint64 `json:",omitempty"`
	ContentHash, Datacenter  string `json:",omitempty"`

	// As in CatalogRegistration.
	Kind, Proxy, Connect, Namespace, Partition, PeerName, Locality, Ports json.RawMessage `json:",omitempty"`
}

// CheckRegistration is a check of a CatalogRegistration.
type CheckRegistration struct {
	Node        string // that of the registration; only there since clients send it
	CheckID     string // "" takes Name
	Name        string
	Status      string // "" is critical
	Notes       string
	Output      string
	ServiceID   string // "" makes it the node's own
	ServiceName string
	ServiceTags []string
	Type        string
	Interval    string
	Timeout     string
	// Definition is for whoever runs the check; Herald keeps its interval and
	// timeout.
	Definition json.RawMessage `json:",omitempty"`

	CreateIndex, ModifyIndex uint64 `json:",omitempty"`
	ExposedPort              int    `json:",omitempty"`

	// As in CatalogRegistration.
	Namespace, Partition, PeerName json.RawMessage `json:",omitempty"`
}

// CatalogDeregistration is the body of PUT /v1/catalog/deregister: a node with all
// it has, or one instance with its checks, or one check.
type CatalogDeregistration struct {
	Node       string
	ServiceID  string
	CheckID    string
	Datacenter string
	Address    string // only there since clients send it

	// As in CatalogRegistration.
	Namespace, Partition, PeerName json.RawMessage `json:",omitempty"`
}
