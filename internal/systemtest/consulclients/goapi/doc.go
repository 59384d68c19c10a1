// Package consulapi uses servers of Consul's HTTP API through HashiCorp's own Go client, as
// programs do that were written for Consul, and judges the document in which they describe that API. HERALD_HTTP has their addresses, host:port with commas between;
// each test spreads what it does over them. It is a module of its own, so that its
// dependencies are nobody else's.
package consulapi
