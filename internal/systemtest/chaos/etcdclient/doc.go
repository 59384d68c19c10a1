// Package etcdclient is the etcd door of one server as a registry.Store, reached with etcd's
// own Go client: what clients of that door see is recorded and judged like what others see.
//
// It owns the translation between the two, and what an error of the client says about whether
// a request took effect. It knows the kv space alone, and what etcd's API has of it. A Store's
// goroutines are the client's; Close ends them.
package etcdclient
