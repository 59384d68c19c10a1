// Package client speaks Herald's HTTP API: keys, services, the local agent,
// leases and the cluster.
//
// It owns the requests and which server they go to. It refuses to know how a
// server works: of Herald's packages it uses the registry's vocabulary, the
// catalog's records and the API's documents. Errors are the registry's own, for
// errors.Is, also across the network. It starts no goroutine of its own
// but those of WithLock, which waits for them; a Client is safe for concurrent
// use, and net/http owns its connections.
//
// Several addresses are several servers of one cluster, any of which takes any call. A
// call goes to the one that answered last. If that cannot be reached, or says that
// nothing was done (no leader, unavailable, stopped), the next is tried, each
// once; a call that may have been carried out is repeated only if that changes
// nothing. So servers can be restarted one after another without a call of this client's
// failing, but for those that must not be repeated and lose their connection half-way:
// registry.ErrTimeout says so. A server that took a call and did not
// answer is not the first that the next call tries. Calls about the local agent
// (Agent) go to the first address alone, since every process has an agent of its
// own.
package client
