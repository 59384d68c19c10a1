package httpserver

import (
	"net/http"

	"herald/httpserver/api"
	"herald/httpserver/filter"
)

// filters are the expressions that clients of this process select by, for each kind
// of document that has them.
type filters struct {
	nodes     filter.Cache[api.Node]
	instances filter.Cache[api.CatalogService]
	services  filter.Cache[api.NodeService]
	entries   filter.Cache[api.ServiceEntry]
	checks    filter.Cache[api.HealthCheck]
	local     filter.Cache[api.AgentService]
	members   filter.Cache[api.AgentMember]
}

// filterOf compiles ?filter=, nil if there is none.
func filterOf[T any](q *request, c *filter.Cache[T]) (*filter.Filter[T], error) {
	f, err := c.Compile(q.query.get("filter"))
	if err != nil {
		return nil, refusef(http.StatusInternalServerError, "Failed to create boolean expression evaluator: %v", err)
	}
	return f, nil
}
