// Package consulclients drives the built binary with clients that were written for Consul: HashiCorp's
// own Go client (goapi, a module of its own), npm's consul, and Debian's python3-consul, on one server and on
// three. The tests are built with the tag e2e.
package consulclients
