// Package promsd has Prometheus's own discovery for Consul follow a service on servers of Consul's HTTP API, HERALD_HTTP, host:port
// with commas between. It is there for programs that are built with it: Debian's Prometheus is not. It is a module of its own, so that
// its dependencies are nobody else's.
package promsd
