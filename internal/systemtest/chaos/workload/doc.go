// Package workload is many clients of a cluster, busy with everything that it promises,
// who write down what they see.
//
// It owns the clients: what they ask, of which server, and what they conclude from an
// answer about whether a request took effect. It refuses to know what is being done to the
// servers meanwhile, and what the answers must satisfy (check).
//
// Each client is one goroutine of a Running, which waits for all of them. None of them
// outlives Stop.
package workload
