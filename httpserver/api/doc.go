// Package api is the vocabulary of Herald's HTTP door: the JSON documents that
// are sent and answered, the names of headers, and the codes that errors travel
// under. The door and the client share it, so that they cannot drift apart.
//
// It refuses to know how a request is served or sent. It imports registry alone,
// starts no goroutine and holds no state; the types are plain values. The names
// and shapes are those of Consul's HTTP API where that has them, since its clients
// read them; what Herald adds is named in the same style.
package api
