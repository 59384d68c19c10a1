package grpcserver

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

const (
	// maxVersions is how many versions of clients are counted apart: what they are called is for
	// clients to say.
	maxVersions = 32
	// unknownVersion is what etcd calls a client's that says none. Here those are in it, too, that
	// are no version, or one too many.
	unknownVersion = "unknown"
)

// versionCounts are the requests of clients by the version of the API that they say they were
// made for. It is safe for concurrent use.
type versionCounts struct {
	mu sync.Mutex // to be held by who replaces known
	// known is never changed, so that to find what is there takes no lock.
	known atomic.Pointer[map[string]*requestCounts]
}

// requestCounts are the requests of one version.
type requestCounts struct{ unary, streams atomic.Uint64 }

func newVersionCounts() *versionCounts {
	c := new(versionCounts)
	c.known.Store(&map[string]*requestCounts{unknownVersion: {}})
	return c
}

// of returns the counts of a version, "" if the client said none.
func (c *versionCounts) of(version string) *requestCounts {
	known := *c.known.Load()
	if counts, ok := known[version]; ok {
		return counts
	}
	if !isVersion(version) || len(known) >= maxVersions {
		return known[unknownVersion]
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	known = *c.known.Load()
	counts, ok := known[version]
	switch {
	case ok:
	case len(known) >= maxVersions:
		counts = known[unknownVersion]
	default:
		more := maps.Clone(known)
		counts = new(requestCounts)
		more[strings.Clone(version)] = counts
		c.known.Store(&more)
	}
	return counts
}

// isVersion says whether it is of digits and dots, and short.
func isVersion(s string) bool {
	return s != "" && len(s) <= 16 && strings.Trim(s, "0123456789.") == ""
}

// write writes the counts in Prometheus's text form.
func (c *versionCounts) write(w io.Writer) {
	const name = "etcd_server_client_requests_total"
	fmt.Fprintf(w, "# HELP %s Requests of clients, by kind and by the version of the API that a client was made for.\n# TYPE %s counter\n", name, name)
	known := *c.known.Load()
	for _, version := range slices.Sorted(maps.Keys(known)) {
		counts := known[version]
		for _, k := range []struct {
			kind string
			n    uint64
		}{{"stream", counts.streams.Load()}, {"unary", counts.unary.Load()}} {
			if k.n > 0 {
				fmt.Fprintf(w, "%s{client_api_version=%q,type=%q} %d\n", name, version, k.kind, k.n)
			}
		}
	}
}
