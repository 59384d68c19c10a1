package peer

import "errors"

var (
	// ErrNotSent is returned when a request certainly reached no handler: nobody could be
	// dialled, the handshake was refused, the connection broke before any of the request
	// was written, or the peer has no handler for it. Wrapped with why.
	ErrNotSent = errors.New("the request did not reach the server")
	// ErrLost is returned when the connection broke, or the caller's context ended, after the
	// request may have been delivered: its effect is unknown. Wrapped with why.
	ErrLost = errors.New("the server's answer was lost")
)
