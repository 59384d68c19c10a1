package api

// KVPair is a key as GET /v1/kv answers it.
type KVPair struct {
	// LockIndex counts how often the key's lock was taken.
	LockIndex uint64
	Key       string
	Flags     uint64
	// Value is base64 in JSON, and null when it is empty.
	Value []byte
	// Session holds the key's lock, if anyone does.
	Session string `json:",omitempty"`
	// CreateIndex and ModifyIndex are the revisions that created the key and
	// wrote it last.
	CreateIndex uint64
	ModifyIndex uint64
}

// KVText is a key as GET /v1/kv?text answers it.
type KVText struct {
	LockIndex uint64
	Key       string
	Flags     uint64
	// Value is the value itself if it is UTF-8, and otherwise its base64, which
	// Encoding then says.
	Value    string
	Encoding string `json:",omitempty"`
	Session  string `json:",omitempty"`
	// CreateIndex and ModifyIndex are the revisions that created the key and
	// wrote it last.
	CreateIndex uint64
	ModifyIndex uint64
}
