package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"herald/httpserver/api"
)

// ErrSessionEnded is returned for a session that has ended, or never was.
var ErrSessionEnded = errors.New("the session has ended")

// SessionOptions are what a session is to be.
type SessionOptions struct {
	// Name is for people who look at who holds what.
	Name string
	// TTL is how long the session lives without a renewal: from 10 s unless the servers
	// allow less (doors.http.session_ttl_min), to 24 h. 0 never runs out.
	TTL time.Duration
	// LockDelay is how long a key that the session held when it ended by itself is nobody's; 0 takes the
	// servers' 15 s. It is at least 1 µs.
	LockDelay time.Duration
	// DeleteKeys says that keys which it holds are deleted when it ends, in place of being
	// freed.
	DeleteKeys bool
}

// CreateSession makes a session that can hold keys, and returns its id. It ends when it is
// destroyed or not renewed in time, and with the node that it is on: that of the agent or the
// server which was asked. It does not depend on checks. It is not repeated once it may have been carried out: a
// session that nobody knows of runs out.
func (c *Client) CreateSession(ctx context.Context, o SessionOptions) (id string, err error) {
	return c.createSession(ctx, o, 0)
}

func (c *Client) createSession(ctx context.Context, o SessionOptions, limit time.Duration) (id string, err error) {
	want := struct {
		Name, TTL, LockDelay, Behavior string `json:",omitempty"`
		NodeChecks                     []string
	}{Name: o.Name, NodeChecks: []string{}}
	if o.TTL != 0 {
		want.TTL = o.TTL.String()
	}
	if o.LockDelay != 0 {
		want.LockDelay = o.LockDelay.String()
	}
	if o.DeleteKeys {
		want.Behavior = "delete"
	}
	body, err := json.Marshal(want)
	if err != nil {
		return "", err
	}
	r := put("/v1/session/create", nil, body)
	r.limit = limit
	var made struct{ ID string }
	if _, err := c.fetch(ctx, r, &made); err != nil {
		return "", err
	}
	return made.ID, nil
}

// RenewSession starts a session's time to live anew. ErrSessionEnded.
func (c *Client) RenewSession(ctx context.Context, id string) error {
	return c.renewSession(ctx, id, 0)
}

func (c *Client) renewSession(ctx context.Context, id string, limit time.Duration) error {
	r := put("/v1/session/renew/"+id, nil, nil).again()
	r.limit = limit
	rep, err := c.do(ctx, r, http.StatusNotFound)
	switch {
	case err != nil:
		return err
	case rep.status != http.StatusNotFound:
		return nil
	case strings.HasPrefix(string(rep.body), "Session id"): // and no path's 404
		return fmt.Errorf("%w: %s", ErrSessionEnded, id)
	}
	return newError(r, rep)
}

// DestroySession ends a session. Keys that it holds are freed, after its lock delay; one that
// has ended is no error.
func (c *Client) DestroySession(ctx context.Context, id string) error {
	_, err := c.do(ctx, put("/v1/session/destroy/"+id, nil, nil).again())
	return err
}

// Acquire writes a key and takes its lock for a session, and reports whether the session now
// has it. ErrSessionEnded.
func (k KV) Acquire(ctx context.Context, key, session string, value []byte, o PutOptions) (bool, error) {
	return k.lock(ctx, "acquire", key, session, value, o)
}

// Release writes a key and frees its lock, and reports whether the session had it.
// ErrSessionEnded.
func (k KV) Release(ctx context.Context, key, session string, value []byte, o PutOptions) (bool, error) {
	return k.lock(ctx, "release", key, session, value, o)
}

func (k KV) lock(ctx context.Context, verb, key, session string, value []byte, o PutOptions) (bool, error) {
	r := o.call(key, value)
	r.query.Set(verb, session)
	r.repeatable = o.TTL == 0
	res, err := k.write(ctx, r)
	var answered *Error
	if errors.As(err, &answered) && answered.Status == http.StatusInternalServerError && strings.HasPrefix(answered.Text, "invalid session") {
		err = fmt.Errorf("%w: %s", ErrSessionEnded, session)
	}
	return res.Written, err
}

// held reads a key, or with recurse all that begin with it, with the sessions that hold
// them.
func (k KV) held(ctx context.Context, key string, recurse bool, o ReadOptions) ([]api.KVPair, Meta, error) {
	var query url.Values
	if recurse {
		query = url.Values{"recurse": {""}}
	}
	return k.pairs(ctx, o.call(keyPath(key), query))
}
