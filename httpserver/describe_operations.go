package httpserver

import (
	"net/http"
	"reflect"

	"herald/httpserver/api"
	"herald/httpserver/openapi"
	"herald/registry"
	"herald/registry/query"
)

// txnDescribed is what a transaction answers, as schemas see it.
type txnDescribed struct {
	Results []any
	Errors  []txnError
}

var (
	// definitions are read in several spellings: their schemas name the usual one.
	checkDefinition = openapi.Schema{"type": "object", "description": "a check, in Consul's definition form", "properties": openapi.Schema{
		"ID": isString, "Name": isString, "ServiceID": isString, "Status": isString, "Notes": isString, "TTL": isLength, "Interval": isLength, "Timeout": isLength,
		"HTTP": isString, "Method": isString, "TCP": isString, "UDP": isString, "GRPC": isString, "H2PING": isString, "AliasService": isString, "AliasNode": isString, "Args": isStrings,
		"DeregisterCriticalServiceAfter": isLength, "SuccessBeforePassing": isCount, "FailuresBeforeCritical": isCount,
	}}
	serviceDefinition = openapi.Schema{"type": "object", "description": "a service, in Consul's definition form", "required": []string{}, "properties": openapi.Schema{
		"ID": isString, "Name": isString, "Tags": isStrings, "Port": isCount, "Address": isString, "SocketPath": isString,
		"Meta": openapi.Schema{"type": "object", "additionalProperties": isString}, "EnableTagOverride": openapi.Schema{"type": "boolean"},
		"Weights": openapi.Schema{"type": "object"}, "TaggedAddresses": openapi.Schema{"type": "object"},
		"Check": checkDefinition, "Checks": openapi.Schema{"type": "array", "items": checkDefinition},
	}}
	txnOperations = openapi.Schema{"type": "array", "maxItems": txnLimit, "items": openapi.Schema{
		"type": "object", "description": "one of KV, Node, Service and Check, each with its Verb", "properties": openapi.Schema{
			"KV": openapi.Schema{"type": "object"}, "Node": openapi.Schema{"type": "object"}, "Service": openapi.Schema{"type": "object"}, "Check": openapi.Schema{"type": "object"},
		},
	}}
	sessionRequest = openapi.Schema{"type": "object", "properties": openapi.Schema{
		"Name": isString, "Node": isString, "TTL": isLength, "LockDelay": isLength, "Behavior": openapi.Schema{"type": "string", "enum": []string{"release", "delete"}},
		"NodeChecks": isStrings, "Checks": isStrings, "ServiceChecks": openapi.Schema{"type": "array", "items": openapi.Schema{"type": "object"}},
	}}
	absent = &openapi.Content{Description: "there is none"}
)

func get(path, tag, summary string, params []string, ok *openapi.Content) openapi.Operation {
	return openapi.Operation{Method: http.MethodGet, Path: path, Tag: tag, Summary: summary, Query: params, OK: ok}
}

func put(path, tag, summary string, params []string, body, ok *openapi.Content) openapi.Operation {
	return openapi.Operation{Method: http.MethodPut, Path: path, Tag: tag, Summary: summary, Query: params, Body: body, OK: ok}
}

func other(o openapi.Operation, status int, c *openapi.Content) openapi.Operation {
	o.Other = map[int]*openapi.Content{status: c}
	return o
}

func method(o openapi.Operation, m string) openapi.Operation {
	o.Method = m
	return o
}

// every is what Herald does not have and answers for all methods that clients try.
func every(path, summary string) (all []openapi.Operation) {
	for _, m := range []string{http.MethodGet, http.MethodPut, http.MethodPost, http.MethodDelete} {
		all = append(all, method(put(path, "absent", summary, nil, nil, asText), m))
	}
	return all
}

func optional(c *openapi.Content) *openapi.Content {
	o := *c
	o.Optional = true
	return &o
}

func flat(lists ...[]openapi.Operation) (all []openapi.Operation) {
	for _, l := range lists {
		all = append(all, l...)
	}
	return all
}

// describedOperations is the surface as the document has it; a test holds it against the routes.
var describedOperations = flat([]openapi.Operation{
	other(get("/v1/kv/{key}", "keys", "Read a key, or the keys that begin with it", with(reads, "raw", "text", "recurse", "keys", "separator"),
		&openapi.Content{
			Description: "the key in a list, the keys that begin with it, or their names; with ?raw the value's bytes",
			Of:          reflect.TypeFor[[]api.KVPair](), Or: []reflect.Type{reflect.TypeFor[[]api.KVText](), reflect.TypeFor[[]string]()},
		}), http.StatusNotFound, absent),
	put("/v1/kv/{key}", "keys", "Write a key", []string{"cas", "flags", "acquire", "release", "ttl", "lease"}, optional(asBytes), asBoolean),
	method(put("/v1/kv/{key}", "keys", "Delete a key, or the keys that begin with it", []string{"cas", "recurse"}, nil, asBoolean), http.MethodDelete),
	other(put("/v1/txn", "keys", "Carry out operations on keys and the catalog, all or none", []string{"stale", "consistent"},
		&openapi.Content{Schema: txnOperations}, openapi.JSON[txnDescribed]()), http.StatusConflict, openapi.JSON[txnDescribed]()),
	other(get("/v1/config/{prefix}", "keys", "The keys below a prefix as one document", with(reads, "format", "typed"),
		&openapi.Content{Description: "in the form of ?format=", Type: "*/*"}), http.StatusNotFound, absent),
	put("/v1/config/{prefix}", "keys", "Write a document's keys below a prefix in one transaction", []string{"format", "prune", "ttl", "lease"}, &openapi.Content{Type: "*/*"}, asBoolean),
	get(watchPath, "keys", "Changes of a key, a prefix or a service as server-sent events", []string{"key", "prefix", "service", "index", "text", "stale", "consistent", "passing", "tag", "node-meta", "filter", "near"},
		&openapi.Content{Type: "text/event-stream"}),

	put("/v1/session/create", "sessions", "Make a session that can lock keys", nil, optional(&openapi.Content{Schema: sessionRequest}), openapi.JSON[struct{ ID string }]()),
	put("/v1/session/destroy/{id}", "sessions", "End a session", nil, nil, asBoolean),
	other(put("/v1/session/renew/{id}", "sessions", "Start a session's time to live anew", nil, nil, openapi.JSON[[]api.Session]()), http.StatusNotFound, absent),
	get("/v1/session/info/{id}", "sessions", "A session, in a list that is empty if there is none", reads, openapi.JSON[[]api.Session]()),
	get("/v1/session/node/{node}", "sessions", "The sessions on a node", reads, openapi.JSON[[]api.Session]()),
	get("/v1/session/list", "sessions", "All sessions", reads, openapi.JSON[[]api.Session]()),

	get("/v1/catalog/datacenters", "catalog", "The datacenters there are: one", nil, openapi.JSON[[]string]()),
	get("/v1/catalog/services", "catalog", "The services and their tags", with(ofCatalog, "node-meta"), openapi.JSON[map[string][]string]()),
	get("/v1/catalog/service/{service}", "catalog", "The instances of a service", with(nearby, "tag"), openapi.JSON[[]api.CatalogService]()),
	get("/v1/catalog/nodes", "catalog", "The nodes", nearby, openapi.JSON[[]api.Node]()),
	get("/v1/catalog/node/{node}", "catalog", "A node and its services, null if there is none", ofCatalog, openapi.JSON[*api.CatalogNode]()),
	get("/v1/catalog/node-services/{node}", "catalog", "A node and a list of its services", ofCatalog, openapi.JSON[*api.CatalogNodeServices]()),
	get("/v1/catalog/connect/{service}", "absent", "Proxies of a service: none", nil, openapi.JSON[[]any]()),
	get("/v1/catalog/gateway-services/{gateway}", "absent", "Services behind a gateway: none", nil, openapi.JSON[[]any]()),
	put("/v1/catalog/register", "catalog", "Register a node, with an instance and checks", []string{"ttl", "lease"}, openapi.JSON[api.CatalogRegistration](), asBoolean),
	put("/v1/catalog/deregister", "catalog", "Remove a node, or an instance or a check of it", nil, openapi.JSON[api.CatalogDeregistration](), asBoolean),
	put("/v1/catalog/advertise", "catalog", "Make a node's records these, under a lease", nil, openapi.JSON[api.Advertisement](), asBoolean),
	put("/v1/catalog/advertise/changes", "catalog", "Change some of a node's advertised records", nil, openapi.JSON[api.AdvertisedChanges](), asBoolean),

	get("/v1/health/service/{service}", "health", "The instances of a service with their checks", with(nearby, "tag", "passing"), openapi.JSON[[]api.ServiceEntry]()),
	get("/v1/health/node/{node}", "health", "The checks of a node", ofCatalog, openapi.JSON[[]api.HealthCheck]()),
	get("/v1/health/checks/{service}", "health", "The checks of a service", nearby, openapi.JSON[[]api.HealthCheck]()),
	get("/v1/health/state/{state}", "health", "The checks in a state, or in any", nearby, openapi.JSON[[]api.HealthCheck]()),
	get("/v1/health/connect/{service}", "absent", "Healthy proxies of a service: none", nil, openapi.JSON[[]any]()),
	get("/v1/health/ingress/{service}", "absent", "Healthy gateways of a service: none", nil, openapi.JSON[[]any]()),

	get("/v1/sd/prometheus", "health", "Instances in the form of Prometheus's HTTP discovery", with(reads, "service", "tag", "node-meta", "passing", "filter", "near", "cached"), openapi.JSON[[]api.TargetGroup]()),

	get("/v1/agent/self", "agent", "The process that is asked: its settings, its member, its counts", nil, openapi.JSON[api.AgentSelf]()),
	get("/v1/agent/members", "agent", "The servers as members", []string{"filter", "segment"}, openapi.JSON[[]api.AgentMember]()),
	get("/v1/agent/version", "agent", "The version", nil, openapi.JSON[map[string]string]()),
	get("/v1/agent/host", "agent", "The machine", nil, openapi.JSON[api.AgentHost]()),
	get("/v1/agent/metrics", "agent", "Metrics, as JSON or as Prometheus reads them", []string{"format"}, asAny),
	get("/v1/agent/monitor", "agent", "The log as it is written", []string{"loglevel", "logjson"}, asText),
	put("/v1/agent/reload", "agent", "Read the configuration again", nil, nil, nil),
	get("/v1/agent/connect/ca/roots", "agent", "The certificates of authority of the connect API", []string{"pem"}, asAny),
	put("/v1/agent/join/{address}", "agent", "Join a cluster", nil, nil, nil),
	put("/v1/agent/leave", "agent", "Leave the cluster and end", nil, nil, nil),
	put("/v1/agent/force-leave/{node}", "agent", "Remove a server that is dead", nil, nil, nil),
	put("/v1/agent/maintenance", "agent", "Take the node out of answers, or back in", []string{"enable", "reason"}, nil, nil),
	get("/v1/agent/services", "agent", "What this agent advertises, by id", []string{"filter"}, openapi.JSON[map[string]api.AgentService]()),
	put("/v1/agent/service/register", "agent", "Register a service with its checks", []string{"replace-existing-checks", "ttl", "lease"}, &openapi.Content{Schema: serviceDefinition}, nil),
	other(put("/v1/agent/service/deregister/{id}", "agent", "Withdraw a service", nil, nil, nil), http.StatusNotFound, absent),
	put("/v1/agent/service/maintenance/{id}", "agent", "Take a service out of answers, or back in", []string{"enable", "reason"}, nil, nil),
	other(get("/v1/agent/service/{id}", "agent", "A service with the hash of its definition", []string{"hash", "wait"}, openapi.JSON[api.AgentService]()), http.StatusNotFound, absent),
	get("/v1/agent/checks", "agent", "The checks of this agent, by id", []string{"filter"}, openapi.JSON[map[string]api.HealthCheck]()),
	put("/v1/agent/check/register", "agent", "Register a check", nil, &openapi.Content{Schema: checkDefinition}, nil),
	put("/v1/agent/check/deregister/{id}", "agent", "Withdraw a check", nil, nil, nil),
	put("/v1/agent/check/pass/{id}", "agent", "Report that a check passes", []string{"note"}, nil, nil),
	put("/v1/agent/check/warn/{id}", "agent", "Report a warning of a check", []string{"note"}, nil, nil),
	put("/v1/agent/check/fail/{id}", "agent", "Report that a check fails", []string{"note"}, nil, nil),
	put("/v1/agent/check/update/{id}", "agent", "Report how a check stands", nil, openapi.JSON[api.CheckUpdate](), nil),
	probed(get("/v1/agent/health/service/id/{id}", "agent", "The health of a local service by its id", []string{"format"}, openapi.JSON[api.AgentServiceHealth]())),
	probed(get("/v1/agent/health/service/name/{service}", "agent", "The health of the local instances of a service", []string{"format"}, openapi.JSON[[]api.AgentServiceHealth]())),

	put("/v1/event/fire/{name}", "events", "Fire an event", []string{"node", "service", "tag"}, optional(asBytes), openapi.JSON[api.Event]()),
	get("/v1/event/list", "events", "The newest events", with(reads, "name", "node", "service", "tag"), openapi.JSON[[]api.Event]()),
	get("/v1/query", "queries", "The prepared queries", reads, openapi.JSON[[]api.PreparedQuery]()),
	method(put("/v1/query", "queries", "Make a prepared query", nil, openapi.JSON[query.Definition](), openapi.JSON[api.PreparedQueryID]()), http.MethodPost),
	other(get("/v1/query/{id}", "queries", "A prepared query, in a list", reads, openapi.JSON[[]api.PreparedQuery]()), http.StatusNotFound, absent),
	put("/v1/query/{id}", "queries", "Replace a prepared query", nil, openapi.JSON[query.Definition](), nil),
	method(put("/v1/query/{id}", "queries", "Delete a prepared query", nil, nil, nil), http.MethodDelete),
	other(get("/v1/query/{id}/execute", "queries", "What a prepared query finds", []string{"stale", "consistent", "limit", "near"}, openapi.JSON[api.PreparedQueryExecution]()), http.StatusNotFound, absent),
	other(get("/v1/query/{id}/explain", "queries", "A prepared query with its template filled in", []string{"stale", "consistent"}, openapi.JSON[api.PreparedQueryExplanation]()), http.StatusNotFound, absent),
	get("/v1/coordinate/datacenters", "coordinates", "The datacenters, without coordinates", nil, openapi.JSON[[]api.CoordinateDatacenter]()),
	get("/v1/coordinate/nodes", "coordinates", "The nodes' coordinates", with(ofCatalog, "segment"), openapi.JSON[[]api.CoordinateEntry]()),
	other(get("/v1/coordinate/node/{node}", "coordinates", "A node's coordinates", with(ofCatalog, "segment"), openapi.JSON[[]api.CoordinateEntry]()), http.StatusNotFound, absent),
	put("/v1/coordinate/update", "coordinates", "Accepted, and kept nowhere", nil, openapi.JSON[api.CoordinateEntry](), nil),

	get("/v1/connect/ca/roots", "absent", "The certificates of authority of the connect API", []string{"pem"}, asAny),
	get("/v1/peerings", "absent", "Peerings: none", nil, openapi.JSON[[]any]()),

	put("/v1/lease/grant", "leases", "Make a lease", nil, openapi.JSON[api.LeaseGrant](), openapi.JSON[api.Lease]()),
	other(put("/v1/lease/keepalive/{id}", "leases", "Start a lease's time anew", nil, nil, openapi.JSON[api.Lease]()), http.StatusNotFound, absent),
	other(put("/v1/lease/revoke/{id}", "leases", "End a lease, and delete what hangs from it", nil, nil, asBoolean), http.StatusNotFound, absent),
	other(get("/v1/lease/{id}", "leases", "A lease, with ?keys and what hangs from it", []string{"keys", "stale", "consistent"}, openapi.JSON[api.Lease]()), http.StatusNotFound, absent),
	get("/v1/leases", "leases", "The ids of all leases", []string{"stale", "consistent"}, openapi.JSON[[]api.LeaseID]()),

	get("/v1/status/leader", "cluster", "The leader's peer address, empty if there is none", nil, openapi.JSON[string]()),
	get("/v1/status/peers", "cluster", "The servers' peer addresses", nil, openapi.JSON[[]string]()),
	get("/v1/operator/raft/configuration", "cluster", "The servers that raft knows", []string{"stale"}, openapi.JSON[api.RaftConfiguration]()),
	method(put("/v1/operator/raft/peer", "cluster", "Remove a server", []string{"id", "address"}, nil, nil), http.MethodDelete),
	put("/v1/operator/raft/transfer-leader", "cluster", "Hand on leadership", []string{"id"}, nil, openapi.JSON[api.Transferred]()),
	method(put("/v1/operator/raft/transfer-leader", "cluster", "Hand on leadership", []string{"id"}, nil, openapi.JSON[api.Transferred]()), http.MethodPost),
	get("/v1/operator/autopilot/configuration", "cluster", "How dead servers are dealt with", nil, openapi.JSON[api.AutopilotConfiguration]()),
	put("/v1/operator/autopilot/configuration", "cluster", "Refused unless it changes nothing: these are settings", []string{"cas"}, openapi.JSON[api.AutopilotConfiguration](), asBoolean),
	other(get("/v1/operator/autopilot/health", "cluster", "The servers' health", nil, openapi.JSON[api.AutopilotHealth]()), http.StatusTooManyRequests, openapi.JSON[api.AutopilotHealth]()),
	get("/v1/operator/autopilot/state", "cluster", "The servers as autopilot sees them", nil, openapi.JSON[api.AutopilotState]()),
	get("/v1/operator/usage", "cluster", "How much there is", nil, openapi.JSON[api.Usage]()),
	get("/v1/members", "cluster", "The servers, and how many may fail", nil, openapi.JSON[api.Members]()),
	get(snapshotPath, "cluster", "Save a snapshot", []string{"stale"}, asBytes),
	put(snapshotPath, "cluster", "Restore a snapshot", nil, asBytes, openapi.JSON[registry.SnapshotInfo]()),

	get("/v1/openapi.json", "process", "This document", nil, asAny),
	get("/metrics", "process", "Metrics as Prometheus reads them", nil, asText),
	get("/healthz", "process", "Whether the process lives", nil, asText),
	get("/readyz", "process", "Whether the process is ready", nil, asText),
},
	every("/v1/agent/token/{name}", "Access control: there is none"),
	every("/v1/agent/connect/{path}", "The service mesh: there is none"),
	every("/v1/acl/{path}", "Access control: there is none"),
	every("/v1/connect/{path}", "The service mesh: there is none"),
	every("/v1/peering/{path}", "Peering: there is none"),
	every("/v1/operator/keyring", "The gossip keyring: there is none"),
)

// probed adds the statuses by which probes are answered.
func probed(o openapi.Operation) openapi.Operation {
	o.Other = map[int]*openapi.Content{http.StatusNotFound: o.OK, http.StatusTooManyRequests: o.OK, http.StatusServiceUnavailable: o.OK}
	return o
}
