package grpcserver

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// metrics serves the process's metrics, nil if it has none, and those that dashboards and
// alerts made for etcd read.
func (c *core) metrics(all http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if all == nil {
			w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		} else {
			// As plain text and nothing else, which more text can follow.
			as := r.Clone(r.Context())
			as.Header.Del("Accept")
			as.Header.Del("Accept-Encoding")
			all.ServeHTTP(w, as)
		}
		_, _ = io.WriteString(w, c.etcdMetrics()) // that nobody reads on is the client's business
	})
}

// etcdMetrics are the metrics that have a name of etcd's, in Prometheus's text form.
func (c *core) etcdMetrics() string {
	const gauge, counter = "gauge", "counter"
	s := c.cluster.Status()
	compacted := s.Compacted[registry.SpaceKV]
	if compacted == 0 {
		compacted = -1
	}
	// An error leaves zeros: a store that has stopped has no keys to tell of.
	keys, _ := c.store.Range(c.stopping, registry.RangeRequest{KeyRange: registry.All(), CountOnly: true, Consistency: registry.Stale})
	var text strings.Builder
	for _, m := range []struct {
		name, labels, help string
		value              int64
		kind               string
	}{
		{"etcd_server_has_leader", "", "Whether this server knows a leader.", oneIf(s.Leader != ""), gauge},
		{"etcd_server_is_leader", "", "Whether this server leads.", oneIf(s.IsLeader), gauge},
		{"etcd_server_leader_changes_seen_total", "", "How often this server has seen the leader change.", c.leaders.changesSeen(), counter},
		{"etcd_server_is_learner", "", "Whether this server has no vote.", oneIf(c.votes(c.stopping) != nil), gauge},
		{"etcd_server_version", fmt.Sprintf("{server_version=%q}", apiVersion), "The version of etcd's API that is served.", 1, gauge},
		{"etcd_cluster_version", fmt.Sprintf("{cluster_version=%q}", strings.TrimSuffix(clusterVersion, ".0")), "What of etcd's API every server serves.", 1, gauge},
		{"etcd_mvcc_db_total_size_in_bytes", "", "About how much memory the state takes, history included.", s.Bytes, gauge},
		{"etcd_mvcc_db_total_size_in_use_in_bytes", "", "The same: what is free is not kept.", s.Bytes, gauge},
		{"etcd_mvcc_put_total", "", "Puts of this server's clients, those within transactions included.", int64(c.counts.puts.Load()), counter},
		{"etcd_mvcc_delete_total", "", "Deletions of this server's clients, of a range each, those within transactions included.", int64(c.counts.deletes.Load()), counter},
		{"etcd_mvcc_range_total", "", "Reads of this server's clients, those within transactions included.", int64(c.counts.ranges.Load()), counter},
		{"etcd_mvcc_txn_total", "", "Transactions of this server's clients that did more than one thing.", int64(c.counts.txns.Load()), counter},
		{"etcd_debugging_mvcc_keys_total", "", "Keys there are, as far as this server knows.", keys.Count, gauge},
		{"etcd_debugging_mvcc_current_revision", "", "The revision that this server is at.", keys.Revision, gauge},
		{"etcd_debugging_mvcc_compact_revision", "", "The revision that was compacted to last, -1 if none was.", compacted, gauge},
		{"etcd_debugging_mvcc_watch_stream_total", "", "Streams of watches that are open.", c.calls.open(pb.Watch_Watch_FullMethodName), gauge},
		{"etcd_debugging_mvcc_watcher_total", "", "Watches that there are.", c.calls.watches.Load(), gauge},
	} {
		fmt.Fprintf(&text, "# HELP %s %s\n# TYPE %s %s\n%s%s %d\n", m.name, m.help, m.name, m.kind, m.name, m.labels, m.value)
	}
	c.versions.write(&text)
	c.calls.writeRPCCounts(&text)
	return text.String()
}

func oneIf(b bool) int64 {
	if b {
		return 1
	}
	return 0
}
