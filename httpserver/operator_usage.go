package httpserver

import (
	"net/http"

	"herald/httpserver/api"
)

// serversService is the service that every server is an instance of.
const serversService = "consul"

// operatorUsage is GET /v1/operator/usage: how much is in the catalog.
func (s *surface) operatorUsage(q *request) error {
	x, err := s.catalogRead(q, anything)
	if err != nil {
		return err
	}
	size := x.Size()
	servers := 0
	if svc := x.Service(serversService); svc != nil {
		servers = len(svc.Instances())
	}
	return q.json(http.StatusOK, api.Usage{Usage: map[string]api.UsageOf{s.datacenter: {
		Nodes: size.Nodes, Services: size.Services, ServiceInstances: size.Instances,
		ConnectServiceInstances:  map[string]int{},
		BillableServiceInstances: size.Instances - servers,
	}}})
}
