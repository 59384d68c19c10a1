package httpserver

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"herald/registry"
)

// snapshotPath is where snapshots are saved from and restored to.
const snapshotPath = "/v1/snapshot"

// snapshotSave is GET /v1/snapshot: everything in the store as one archive, which is
// sent as it is made. X-Consul-Index is an index of the keys that it contains at least.
//
// A failure before the first byte is answered as any other. After it the connection
// breaks, so that no client takes what came for the whole.
func (s *surface) snapshotSave(q *request) error {
	op, err := s.canChange()
	if err != nil {
		return err
	}
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	ctx := q.caller(registry.ReasonOperator)
	res, err := s.read(ctx, o.mode, registry.RangeRequest{Space: registry.SpaceKV, KeyRange: nothing.KeyRange, CountOnly: true})
	if err != nil {
		return err
	}
	out := &snapshotWriter{q: q, begin: func() {
		h := q.header()
		s.readHeaders(h, o.mode, index(res.Revision), res.Age)
		h["Content-Type"] = isBinary
		h["Content-Disposition"] = []string{fmt.Sprintf(`attachment; filename="herald-%s.snapshot"`, time.Now().UTC().Format("20060102T150405Z"))}
	}}
	if _, err := op.SaveSnapshot(ctx, out, o.mode == modeStale); err != nil {
		if !out.begun {
			return err
		}
		s.log.Warn("a snapshot was not sent to its end", "error", err)
		panic(http.ErrAbortHandler)
	}
	return nil
}

// snapshotWriter sets the answer's headers with its first byte.
type snapshotWriter struct {
	q     *request
	begin func()
	begun bool
}

func (w *snapshotWriter) Write(p []byte) (int, error) {
	if !w.begun {
		w.begun = true
		w.begin()
		w.q.w.WriteHeader(http.StatusOK)
	}
	return w.q.w.Write(p)
}

var isBinary = []string{"application/octet-stream"}

// snapshotRestore is PUT /v1/snapshot: everything in the store is replaced by what the
// archive in the body has. max_body_bytes does not bound it; read_body_timeout bounds
// how long the body may stand still.
func (s *surface) snapshotRestore(q *request) error {
	op, err := s.canChange()
	if err != nil {
		return err
	}
	body := &progressReader{r: q.r.Body, rc: http.NewResponseController(q.w), allowed: s.cfg.ReadBodyTimeout}
	info, err := op.RestoreSnapshot(q.caller(registry.ReasonOperator), body)
	if err != nil {
		if body.err != nil {
			return bodyError(body.err)
		}
		s.drainBody(q)
		if errors.Is(err, registry.ErrCorrupt) || errors.Is(err, registry.ErrFormat) {
			return because(err, http.StatusInternalServerError, "%v", err) // which clients expect
		}
		return err
	}
	return q.json(http.StatusOK, info)
}
