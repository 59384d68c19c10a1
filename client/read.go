package client

import (
	"net/http"
	"net/url"
	"strconv"
	"time"

	"herald/httpserver/api"
)

// Consistency is how fresh a read has to be.
type Consistency string

// The modes of reading.
const (
	// Default is fresh unless the cluster is just losing its leader.
	Default Consistency = ""
	// Consistent sees every write acknowledged before it.
	Consistent Consistency = "consistent"
	// Stale is what the asked server has, at no cost to the others.
	Stale Consistency = "stale"
)

// ReadOptions are what every read can be asked for. The zero value asks for
// nothing special.
type ReadOptions struct {
	Consistency Consistency
	// Index makes a read block until what it reads has an index above this one. It
	// is the Meta.Index of the read before; 0 does not block.
	Index uint64
	// Wait bounds how long it blocks; 0 takes the server's 5 minutes, of which it
	// has at most 10. The answer is then the same as before, with the same index.
	Wait time.Duration
}

// defaultWait is the server's, when none is asked for.
const defaultWait = 5 * time.Minute

// call returns a read with its options.
func (o *ReadOptions) call(path string, query url.Values) call {
	if query == nil {
		query = url.Values{}
	}
	if o.Consistency != Default {
		query.Set(string(o.Consistency), "")
	}
	r := get(path, query)
	if o.Index > 0 {
		query.Set("index", strconv.FormatUint(o.Index, 10))
		r.wait = defaultWait
		if o.Wait > 0 {
			r.wait = o.Wait
			query.Set("wait", o.Wait.String())
		}
		r.wait += r.wait / 16 // what the server may add, at random
	}
	return r
}

// Meta is what an answer says about itself.
type Meta struct {
	// Index is that of what was read, for ReadOptions.Index.
	Index uint64
	// LastContact bounds the answer's age.
	LastContact time.Duration
	// KnownLeader says that the server knows who leads the cluster.
	KnownLeader bool
}

func metaOf(h http.Header) Meta {
	// A header that is missing or no number leaves its field at 0, which is never an
	// index.
	index, _ := strconv.ParseUint(h.Get(api.HeaderIndex), 10, 64)
	ms, _ := strconv.ParseInt(h.Get(api.HeaderLastContact), 10, 64)
	return Meta{
		Index:       index,
		LastContact: time.Duration(ms) * time.Millisecond,
		KnownLeader: h.Get(api.HeaderKnownLeader) == "true",
	}
}
