package httpserver

// route is one path of the surface, with a handler for each method it takes.
type route struct {
	// path is literal; one that ends in "/" takes every path below it, and what
	// follows is the request's argument, unescaped.
	path             string
	get, put, delete handler
	// post is for the few paths that some clients send POST to.
	post handler
	// every takes GET, PUT, POST and DELETE, in place of those for one each.
	every handler
	// probe says that HEAD is answered as GET is, without the body. Load balancers
	// ask so; clients of the API are refused it everywhere else.
	probe bool
	// scope says who answers.
	scope scope
}

// handler answers a request, or returns why it cannot.
type handler func(*request) error

// scope says which process answers a route.
type scope uint8

const (
	// cluster is answered by a server; an agent's process passes it on to one.
	cluster scope = iota
	// local is answered by the process that is asked, about itself.
	local
)

// routes is the whole surface.
func (s *surface) routes() []route {
	all := []route{
		// Keys.
		{path: "/v1/kv/", get: s.kvGet, put: s.kvPut, delete: s.kvDelete},

		{path: "/v1/txn", put: s.txn},
		{path: "/v1/config/", get: s.configGet, put: s.configPut},

		// Changes as they happen (Herald's own).
		{path: watchPath, get: s.watch},

		// Sessions, which lock keys.
		{path: "/v1/session/create", put: s.sessionCreate},
		{path: "/v1/session/destroy/", put: s.sessionDestroy},
		{path: "/v1/session/renew/", put: s.sessionRenew},
		{path: "/v1/session/info/", get: s.sessionInfo},
		{path: "/v1/session/node/", get: s.sessionNode},
		{path: "/v1/session/list", get: s.sessionList},

		// The catalog: nodes, services and checks.
		{path: "/v1/catalog/datacenters", get: s.catalogDatacenters},
		{path: "/v1/catalog/services", get: s.catalogServices},
		{path: "/v1/catalog/service/", get: s.catalogService},
		{path: "/v1/catalog/nodes", get: s.catalogNodes},
		{path: "/v1/catalog/node/", get: s.catalogNode},
		{path: "/v1/catalog/node-services/", get: s.catalogNodeServices},
		{path: "/v1/catalog/connect/", get: s.noProxies},
		{path: "/v1/catalog/gateway-services/", get: s.noProxies},
		{path: "/v1/catalog/register", put: s.catalogRegister},
		{path: "/v1/catalog/deregister", put: s.catalogDeregister},
		{path: "/v1/catalog/advertise", put: s.catalogAdvertise},
		{path: "/v1/catalog/advertise/changes", put: s.catalogAdvertiseChanges},

		// The catalog with health.
		{path: "/v1/health/service/", get: s.healthService},
		{path: "/v1/health/node/", get: s.healthNode},
		{path: "/v1/health/checks/", get: s.healthChecks},
		{path: "/v1/health/state/", get: s.healthState},
		{path: "/v1/health/connect/", get: s.noProxies},
		{path: "/v1/health/ingress/", get: s.noProxies},

		// The catalog as other systems discover from it (Herald's own).
		{path: "/v1/sd/prometheus", get: s.sdPrometheus},

		// The local agent.
		{path: "/v1/agent/self", get: s.agentSelf, scope: local},
		{path: "/v1/agent/members", get: s.agentMembers, scope: local},
		{path: "/v1/agent/version", get: s.agentVersion, scope: local},
		{path: "/v1/agent/host", get: s.agentHost, scope: local},
		{path: "/v1/agent/metrics", get: s.agentMetrics, scope: local},
		{path: "/v1/agent/monitor", get: s.agentMonitor, scope: local},
		{path: "/v1/agent/reload", put: s.agentReload, scope: local},
		{path: "/v1/agent/token/", every: s.noACL, scope: local},
		{path: "/v1/agent/connect/ca/roots", get: s.connectRoots},
		{path: "/v1/agent/connect/", every: s.noConnect},
		{path: "/v1/agent/join/", put: s.agentJoin, scope: local},
		{path: "/v1/agent/leave", put: s.agentLeave, scope: local},
		{path: "/v1/agent/force-leave/", put: s.agentForceLeave},
		{path: "/v1/agent/maintenance", put: s.agentNodeMaintenance, scope: local},
		{path: "/v1/agent/services", get: s.agentServices, scope: local},
		{path: "/v1/agent/service/register", put: s.agentRegisterService, scope: local},
		{path: "/v1/agent/service/deregister/", put: s.agentDeregisterService, scope: local},
		{path: "/v1/agent/service/maintenance/", put: s.agentServiceMaintenance, scope: local},
		{path: "/v1/agent/service/", get: s.agentService, scope: local},
		{path: "/v1/agent/checks", get: s.agentChecks, scope: local},
		{path: "/v1/agent/check/register", put: s.agentRegisterCheck, scope: local},
		{path: "/v1/agent/check/deregister/", put: s.agentDeregisterCheck, scope: local},
		{path: "/v1/agent/check/pass/", put: s.agentCheckPass, scope: local},
		{path: "/v1/agent/check/warn/", put: s.agentCheckWarn, scope: local},
		{path: "/v1/agent/check/fail/", put: s.agentCheckFail, scope: local},
		{path: "/v1/agent/check/update/", put: s.agentCheckUpdate, scope: local},
		{path: "/v1/agent/health/service/id/", get: s.agentHealthByID, scope: local},
		{path: "/v1/agent/health/service/name/", get: s.agentHealthByName, scope: local},

		// Events, prepared queries and coordinates.
		{path: "/v1/event/fire/", put: s.eventFire},
		{path: "/v1/event/list", get: s.eventList},
		{path: "/v1/query", get: s.queryList, post: s.queryCreate},
		{path: "/v1/query/", get: s.queryGet, put: s.queryUpdate, delete: s.queryDelete},
		{path: "/v1/coordinate/datacenters", get: s.coordinateDatacenters},
		{path: "/v1/coordinate/nodes", get: s.coordinateNodes},
		{path: "/v1/coordinate/node/", get: s.coordinateNode},
		{path: "/v1/coordinate/update", put: s.coordinateUpdate},

		// What Consul has and Herald has not.
		{path: "/v1/acl/", every: s.noACL},
		{path: "/v1/connect/ca/roots", get: s.connectRoots},
		{path: "/v1/connect/", every: s.noConnect},
		{path: "/v1/peerings", get: s.noPeerings},
		{path: "/v1/peering/", every: s.noPeering},
		{path: "/v1/operator/keyring", every: s.noKeyring},

		// Leases (Herald's own).
		{path: "/v1/lease/grant", put: s.leaseGrant},
		{path: "/v1/lease/keepalive/", put: s.leaseKeepAlive},
		{path: "/v1/lease/revoke/", put: s.leaseRevoke},
		{path: "/v1/lease/", get: s.leaseGet},
		{path: "/v1/leases", get: s.leaseList},

		// The cluster.
		{path: "/v1/status/leader", get: s.statusLeader},
		{path: "/v1/status/peers", get: s.statusPeers},
		{path: "/v1/operator/raft/configuration", get: s.raftConfiguration},
		{path: "/v1/operator/raft/peer", delete: s.raftRemovePeer},
		{path: "/v1/operator/raft/transfer-leader", put: s.raftTransfer, post: s.raftTransfer},
		{path: "/v1/operator/autopilot/configuration", get: s.autopilotConfiguration, put: s.autopilotConfigure},
		{path: "/v1/operator/autopilot/health", get: s.autopilotHealth},
		{path: "/v1/operator/autopilot/state", get: s.autopilotState},
		{path: "/v1/operator/usage", get: s.operatorUsage},
		{path: "/v1/members", get: s.members},
		{path: snapshotPath, get: s.snapshotSave, put: s.snapshotRestore},

		// The process.
		{path: "/v1/openapi.json", get: s.describe},
		{path: "/metrics", get: s.metricsText, scope: local},
		{path: "/healthz", get: s.healthz, probe: true, scope: local},
		{path: "/readyz", get: s.readyz, probe: true, scope: local},
	}
	if s.cfg.Pprof {
		all = append(all, route{path: "/debug/pprof/", get: s.pprof, scope: local})
	}
	return all
}
