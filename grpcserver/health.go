package grpcserver

import (
	"context"
	"net/http"
	"slices"
	"time"

	"google.golang.org/grpc/status"

	"herald/registry"
)

// healthTimeout bounds the read that a probe makes.
const healthTimeout = 5 * time.Second

// serveHealth serves /health: whether this server knows a leader, has no alarm and can read.
// ?exclude=ALARM, which may come more than once, passes over an alarm; ?serializable=true is
// content with a read of this server's own copy, also without a leader.
func (c *core) serveHealth(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	reason := c.unhealthy(r.Context(), query["exclude"], query.Get("serializable") == "true")
	health, code := "true", http.StatusOK
	if reason != "" {
		health, code = "false", http.StatusServiceUnavailable
	}
	answerJSON(w, code, struct {
		Health string `json:"health"`
		Reason string `json:"reason"`
	}{health, reason})
}

// unhealthy says what is wrong with this server, or "".
func (c *core) unhealthy(ctx context.Context, exclude []string, serializable bool) string {
	for _, alarm := range c.alarmsInForce() {
		if !slices.Contains(exclude, alarm.String()) {
			return "ALARM " + alarm.String()
		}
	}
	if serializable {
		if err := c.canRead(ctx, registry.Stale); err != nil {
			return "RANGE ERROR:" + err.Error()
		}
		return ""
	}
	if c.cluster.Status().Leader == "" {
		return "RAFT NO LEADER"
	}
	if err := c.canRead(ctx, registry.Linearizable); err != nil {
		return "QGET ERROR:" + err.Error()
	}
	return ""
}

// canRead makes a small read. Its error is in etcd's words.
func (c *core) canRead(ctx context.Context, how registry.Consistency) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	_, err := c.store.Range(ctx, registry.RangeRequest{KeyRange: registry.One("health"), Limit: 1, KeysOnly: true, Consistency: how})
	if err != nil {
		return errorText(status.Convert(statusOf(err)).Message())
	}
	return nil
}

// errorText is an error that is its text.
type errorText string

func (e errorText) Error() string { return string(e) }
