package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"sync/atomic"
	"time"

	"herald/registry"
)

// SaveSnapshot writes everything in the store to w, as an archive of the server's
// format, and returns its size. stale takes it from the asked server as it is, which needs no
// leader. After an error w has a part of it at most: another server is asked
// only while nothing was written. The archive ends with a checksum; whether it is
// whole is for its reader to see.
func (o Operator) SaveSnapshot(ctx context.Context, w io.Writer, stale bool) (int64, error) {
	query := url.Values{}
	if stale {
		query.Set(string(Stale), "")
	}
	var n int64
	err := o.c.transfer(ctx, get("/v1/snapshot", query), nil, func(body io.Reader) (err error) {
		n, err = io.Copy(w, body)
		return err
	})
	return n, err
}

// RestoreSnapshot replaces everything in the store by an archive's content, and returns
// what the archive says of itself. Indexes go up, never back, and every watcher
// begins anew. Another server is asked only while nothing of r was read.
// registry.ErrCorrupt, registry.ErrFormat: nothing has changed.
func (o Operator) RestoreSnapshot(ctx context.Context, r io.Reader) (registry.SnapshotInfo, error) {
	var info registry.SnapshotInfo
	err := o.c.transfer(ctx, put("/v1/snapshot", nil, nil), r, func(body io.Reader) error {
		return json.NewDecoder(body).Decode(&info)
	})
	return info, err
}

// transfer sends a call whose body or answer may be of any size. Neither may stand
// still for longer than the client's timeout; how long a server thinks between the
// two is for ctx to bound.
func (c *Client) transfer(ctx context.Context, r call, body io.Reader, take func(io.Reader) error) error {
	first := int(c.preferred.Load())
	var last error
	for i := range c.servers {
		at := (first + i) % len(c.servers)
		begun, err := c.transferOnce(ctx, c.servers[at], r, body, take)
		if err == nil || begun || ctx.Err() != nil || !r.mayRepeat(err) {
			return err
		}
		last = err
	}
	return last
}

// transferOnce asks one server. begun says that something of the body was read, or of the
// answer.
func (c *Client) transferOnce(ctx context.Context, server *url.URL, r call, body io.Reader, take func(io.Reader) error) (begun bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	still := time.AfterFunc(c.timeout, func() { cancel(errSlow) })
	defer still.Stop()
	sent := &movingReader{r: body, still: still, allowed: c.timeout}
	defer sent.over.Store(true)
	var content io.Reader
	if body != nil {
		content = sent
	}
	req, err := c.request(ctx, server, r, content)
	if err != nil {
		return false, err
	}
	res, err := c.http.Do(req)
	if err != nil {
		return sent.begun.Load(), c.unanswered(ctx, server, r, err)
	}
	defer res.Body.Close()
	came := &movingReader{r: res.Body, still: still, allowed: c.timeout}
	still.Reset(c.timeout)
	if res.StatusCode/100 != 2 {
		text, err := io.ReadAll(io.LimitReader(came, 64<<10))
		if err != nil {
			return sent.begun.Load(), c.unanswered(ctx, server, r, err)
		}
		return sent.begun.Load(), newError(r, &reply{status: res.StatusCode, header: res.Header, body: text})
	}
	if err := take(came); err != nil {
		if came.err != nil { // otherwise it is of who takes it
			err = fmt.Errorf("%w; what came is not the whole", c.unanswered(ctx, server, r, came.err))
		}
		return true, err
	}
	return true, nil
}

// movingReader puts off the end of who waits for it, each time it moves. HTTP's transport
// may read a body after its request has been answered; nothing is taken then.
type movingReader struct {
	r       io.Reader
	still   *time.Timer
	allowed time.Duration
	begun   atomic.Bool
	over    atomic.Bool
	err     error
}

func (m *movingReader) Read(p []byte) (int, error) {
	if m.over.Load() {
		return 0, io.ErrClosedPipe
	}
	m.begun.Store(true)
	m.still.Reset(m.allowed)
	n, err := m.r.Read(p)
	switch err {
	case nil:
		m.still.Reset(m.allowed)
	case io.EOF:
		m.still.Stop() // it is the other's turn
	default:
		m.err = err
	}
	return n, err
}
