package api

// Headers that clients of Consul's HTTP API know. They are in canonical form.
const (
	// HeaderIndex is the index of what was asked, to be sent back as ?index= for
	// a blocking read. It is never 0.
	HeaderIndex = "X-Consul-Index"
	// HeaderKnownLeader says whether a leader is known: "true" or "false".
	HeaderKnownLeader = "X-Consul-Knownleader"
	// HeaderLastContact bounds the age of the answer, in milliseconds.
	HeaderLastContact = "X-Consul-Lastcontact"
	// HeaderConsistency is how the answer was read: leader, consistent or stale.
	HeaderConsistency = "X-Consul-Effective-Consistency"
	// HeaderContentHash is the hash of a local service's definition.
	HeaderContentHash = "X-Consul-Contenthash"
	// HeaderToken carries the caller's token.
	HeaderToken = "X-Consul-Token"
	// HeaderCache says whether a ?cached answer was at hand: HIT or MISS.
	HeaderCache = "X-Cache"
)

// Headers that Herald adds.
const (
	// HeaderError is the machine's code of an error (see Code).
	HeaderError = "X-Herald-Error"
	// HeaderLease is the lease that a write with ?ttl= was given.
	HeaderLease = "X-Herald-Lease"
	// HeaderWarning is something the user should know about a registration that
	// was accepted; one header for each.
	HeaderWarning = "X-Herald-Warning"
	// HeaderIdentity and HeaderReason say who makes a change and why, for its history
	// (see FormatIdentity, FormatReason).
	HeaderIdentity = "X-Herald-Identity"
	HeaderReason   = "X-Herald-Reason"
	// HeaderForwarded names the agent that passed a request on to a server.
	HeaderForwarded = "X-Herald-Forwarded"
)
