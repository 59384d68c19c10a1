// Package check holds the kinds of health check that come with Herald: http, tcp, udp,
// grpc, h2ping, exec and ttl. Importing it registers them with plugin.Default.
//
// A kind turns a definition into a registry.Checker: it decodes the definition's
// Spec strictly, by its own names, and then finds out one status each time it is
// asked. It refuses to know when it is run, what the result changes or where
// the result goes; that is the agent's. It keeps nothing between two runs, and no
// goroutine, connection or process of a run outlives it.
//
// The kind ttl is here for its definition only. Its status is reported to the
// agent, not found out, so that the agent runs its timer.
package check
