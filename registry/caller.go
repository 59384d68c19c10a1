package registry

import "context"

// Caller is who asks and why. Every Store call takes it from its context, so
// that the log can say it, also while access control is off.
type Caller struct {
	Identity string
	Reason   Reason
}

type callerKey struct{}

// WithCaller returns a context whose Store calls are made by c.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerFrom returns who makes the calls of ctx; the zero Caller, an unnamed
// client, if nobody said.
func CallerFrom(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}
