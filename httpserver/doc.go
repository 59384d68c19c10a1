// Package httpserver is the HTTP door: Consul's /v1 API on Herald's store and
// catalog, so that the clients people run work unchanged, and what Herald adds to
// it in the same style (leases, advertisements, members, metrics, probes).
//
// It owns the listener, the requests and how an answer is spelled. It refuses to
// know how the store is replicated, how a check is run, and how the catalog is
// kept: it sees registry.Store, registry.Agent and catalog.Catalog through
// plugin.Host. In an agent's process, which has no store, it answers /v1/agent
// itself and passes everything else on to a server.
//
// A request's goroutine is net/http's; a Door owns one more, which accepts. A
// blocking query waits in its request's goroutine, on a watcher of the keys or
// on the catalog's topic that it asked for, and is let go with its current
// answer when the door stops. The router (echo) is known to router.go alone.
//
//	routes.go     the whole surface
//	errors.go     from registry's errors to statuses and texts
//	request.go    a request and its query; read.go the rules that all reads share
//	stream.go     answers of server-sent events, which watch.go makes
//	kv_*.go, catalog_*.go, health.go, agent_*.go, lease.go, status.go
//	              one resource each
package httpserver
