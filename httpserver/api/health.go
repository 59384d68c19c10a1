package api

// HealthCheck is a check as the health and agent endpoints show it.
type HealthCheck struct {
	Node        string
	CheckID     string
	Name        string
	Status      string
	Notes       string
	Output      string
	ServiceID   string
	ServiceName string
	ServiceTags []string // never null
	Type        string
	Interval    string // such as "10s", "" for none
	Timeout     string
	ExposedPort int
	Definition  struct{}
	CreateIndex uint64
	ModifyIndex uint64
	Foreign
}

// ServiceEntry is one instance with its node and every check that counts for it,
// as GET /v1/health/service/<service> answers it.
type ServiceEntry struct {
	Node    *Node
	Service *NodeService
	Checks  []HealthCheck
}
