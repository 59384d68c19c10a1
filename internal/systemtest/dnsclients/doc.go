// Package dnsclients drives the built binary's DNS with the programs that people point at it: the tools dig,
// kdig and drill; the resolvers of Go, glibc and musl; unbound and dnsmasq, which forward the domain; and
// HAProxy and nginx, which find by it where to send traffic. The tests are built with the tag e2e and run as root: some have a
// network namespace of their own. What is asked for is registered over HTTP, or written as records by etcdctl.
package dnsclients
