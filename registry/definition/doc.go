// Package definition reads and writes service and check definitions in Consul's
// JSON form: what people keep in files like web.json and send to the HTTP API's
// register endpoints.
//
// It owns the form: its names, types and limits, and the words in which a mistake
// is reported, some of which clients match on (see Error). It refuses to know
// which kinds of check there are beyond those that the form has fields for, whether
// a command may be run, and where a definition comes from. It keeps no state
// and starts no goroutine; every function may be called by any number of
// goroutines.
//
// # The form
//
// Names of fields are in any case, and in snake case if one likes
// (SuccessBeforePassing, success_before_passing). A field that is unknown or
// given twice is refused, null is as good as absent. Durations are strings such
// as "10s", or nanoseconds. Beyond Consul's form a check may have Kind and Spec:
// a kind by its name, and what that kind needs to know, by the kind's own names.
//
// What Consul has and Herald has not is refused by name if it would change what
// is advertised (a GRPC check, a Connect proxy), and accepted with a warning if it
// would not (a namespace).
//
// # Names that DNS cannot carry
//
// A service whose name or tags no DNS label can carry is accepted with a warning
// that names it, since it can be found over HTTP. The register endpoint of Consul
// refuses one kind of them, names with other characters than letters, digits and
// hyphens; here a name that works for those who do not use DNS is theirs to choose.
package definition
