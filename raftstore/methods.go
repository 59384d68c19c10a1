package raftstore

// The methods of the RPC between servers. A number, once released, keeps its meaning, and what
// a call and its answer carry keeps its format: the version of the handshake is what tells servers
// apart that would misread each other.
const (
	// What only the leader can do, asked by a follower on behalf of its callers.
	methodPropose    = 1 // an entry of commands: see forwarder
	methodReadIndex  = 2
	methodGrant      = 3
	methodKeepAlive  = 4
	methodRemaining  = 5
	methodKeepAlives = 6 // of many leases: see renewals

	// What the leader asks of followers.
	methodConfirm = 8 // are you still in my term?
	methodCommit  = 9 // one way: the log is committed up to here

	// Asked of any server.
	methodLeader = 12 // who leads?

	// Membership.
	methodDescribe  = 16 // who are you, and how far is your log?
	methodInvite    = 17 // become part of this new cluster
	methodJoin      = 18 // take me in, or know my new address
	methodRemove    = 19
	methodTransfer  = 20
	methodPromote   = 21
	methodReaddress = 22

	// Streams.
	methodRestore = 32
)
