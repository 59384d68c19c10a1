package api

// Usage is what GET /v1/operator/usage answers, by datacenter.
type Usage struct{ Usage map[string]UsageOf }

// UsageOf counts what is in one datacenter's catalog.
type UsageOf struct {
	Nodes                    int
	Services                 int
	ServiceInstances         int
	ConnectServiceInstances  map[string]int // empty: there are no proxies
	BillableServiceInstances int            // those of services other than the servers' own
}
