// Package peer is the one port on which servers speak to each other: raft's streams,
// calls with an answer, messages without one, and streams of bytes. It owns the listener,
// every connection on either side, the handshake that says which server of which
// cluster is at each end, and the connections that calls share. It refuses to know
// what the messages mean, who leads, and who is a member: it is told its own identity
// whenever it shakes hands, and whom to reach at which address at each call.
//
// A connection begins with a byte for its protocol and a handshake. Two servers of
// different clusters never speak, nor does one speak to a server that was not meant:
// an address that now belongs to another is found out before anything is sent.
//
// An error of a call says what became of it. ErrNotSent: no handler has seen it, nor
// will. ErrLost: unknown. Anything else is the handler's own.
//
// Both ends of a connection for calls send something at least every PingInterval, and either
// end closes it when it has heard nothing for three of them. So calls without a
// deadline do not outlive a peer that vanished, whichever direction was lost,
// and a peer that is only busy, or has stopped reading because too many of its
// handlers are at work, stays connected.
//
// Calls to one server share a connection, and what waits to be written goes in one write: many
// small calls are cheap, and a large message delays those behind it. What is larger than a
// few megabytes belongs on a stream.
//
// Goroutines, all counted and waited for by Port.Close:
//
//   - Port.accept: Serve. One Port.welcome for each accepted connection, which reads
//     the handshake, and then is the reader of a connection for calls, or runs the
//     handler of a stream, or hands the connection to raft and ends.
//   - Port.beat: Listen. The heartbeats of every connection, and what has to be tidied.
//   - outbox.write: one for each connection for calls.
//   - Port.connect: one for each connection being dialled for calls; then it is its reader.
//   - server.run: one for each request whose handler is not inline.
//
// Locks: Port.mu and the mutex of a connection's outbox are never held together, and
// neither is held while a handler or a callback is called, or the network, but for
// setting a deadline.
package peer
