// Package client speaks Herald's HTTP API: keys, services, the local agent,
// leases and the cluster.
//
// It owns the requests and which server they go to. It refuses to know how a
// server works: of Herald's packages it uses the registry's vocabulary, the
// catalog's records and the API's documents. Errors are the registry's own, for
// errors.Is, also across the network. It starts no goroutine of its own;
// a Client is safe for concurrent use, and net/http owns its connections.
//
// Several addresses are several servers of one cluster. A call goes to the one
// that answered last. If that cannot be reached, or says that nothing was done
// (no leader), the next is tried; a call that may have been carried out is
// repeated only if that changes nothing. A server that took a call and did not
// answer is not the first that the next call tries. Calls about the local agent
// (Agent) go to the first address alone, since every process has an agent of its
// own.
package client
