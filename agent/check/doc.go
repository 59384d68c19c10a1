// Package check holds the kinds of health check that come with Herald: http, tcp, udp,
// grpc, h2ping, exec, docker, osservice, alias and ttl. Importing it registers them with plugin.Default.
//
// A kind turns a definition into a registry.Checker: it decodes the definition's
// Spec strictly, by its own names, and then finds out one status each time it is
// asked. It refuses to know when it is run, what the result changes or where
// the result goes; that is the agent's. It keeps nothing between two runs, and no
// goroutine, connection or process of a run outlives it.
//
// The kinds ttl and alias are here for their definitions only. The status of the one is reported to the
// agent, that of the other is made of other checks' there: the agent does both itself.
package check
