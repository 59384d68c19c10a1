package api

// KVDeleted is the data of a "delete" event of GET /v1/watch. That of a "put" event is
// a KVPair, that of a "state" event a list of them; with ?text they are KVText. That of a
// "service" event is a list of ServiceEntry.
type KVDeleted struct {
	Key string
	// ModifyIndex is the revision of the deletion.
	ModifyIndex uint64
}

// WatchReset is the data of a "reset" event: changes were missed, and what the client
// knows is void. What there is, at Index, comes next.
type WatchReset struct {
	Message string
	Index   uint64
}
