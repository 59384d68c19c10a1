package workload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

const (
	// sessionLockPrefix is where keys are that are locked by sessions.
	sessionLockPrefix = "session/"
	// sessionHost is the node that the sessions live on. It is no server's: a server may leave
	// for good, and take those of its own node along.
	sessionHost = "clients"
)

// sessions reports whether clients make sessions.
func (r *Running) sessions() bool {
	return (r.cfg.runs(Locks) || r.cfg.runs(Leases)) && slices.ContainsFunc(r.servers, overHTTP)
}

// registerHost registers the node that sessions live on.
func (c *client) registerHost(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, setupTime)
	defer cancel()
	for {
		s := c.nearWith(overHTTP)
		_, err := s.send(ctx, http.MethodPut, "/v1/catalog/register", api.CatalogRegistration{Node: sessionHost, Address: "192.0.2.254"})
		if err == nil {
			return nil
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return fmt.Errorf("workload: node %s could not be registered within %v: %w", sessionHost, setupTime, err)
		}
	}
}

// newSession is what PUT /v1/session/create is sent.
type newSession struct {
	Node, TTL, LockDelay, Behavior string
	NodeChecks                     []string // empty and not absent: none
}

// createSession makes a session and returns its id. The keys that it locks are freed when it
// ends, or deleted.
func (s *server) createSession(ctx context.Context, ttl, delay time.Duration, behavior string) (id string, err error) {
	a, err := s.send(ctx, http.MethodPut, "/v1/session/create", newSession{
		Node: sessionHost, TTL: ttl.String(), LockDelay: delay.String(), Behavior: behavior, NodeChecks: []string{},
	})
	if err != nil {
		return "", err
	}
	var out struct{ ID string }
	if err := json.Unmarshal(a.body, &out); err != nil || out.ID == "" {
		return "", fmt.Errorf("answer %.100q to the creation of a session", a.body)
	}
	return out.ID, nil
}

// renewSession is registry.ErrLeaseNotFound for a session that has ended.
func (s *server) renewSession(ctx context.Context, id string) error {
	a, err := s.send(ctx, http.MethodPut, "/v1/session/renew/"+id, nil)
	switch {
	case errors.Is(err, registry.ErrLeaseNotFound):
		return fmt.Errorf("the renewal of session %s names its lease: %v", id, err)
	case err != nil:
		return err
	case a.status == http.StatusNotFound:
		return registry.ErrLeaseNotFound
	}
	return nil
}

func (s *server) destroySession(ctx context.Context, id string) error {
	_, err := s.send(ctx, http.MethodPut, "/v1/session/destroy/"+id, nil)
	return err
}

// lock writes a key and takes its lock, or frees it, as how says: "acquire" or "release".
func (s *server) lock(ctx context.Context, how, key, id, value string) (bool, error) {
	a, err := s.send(ctx, http.MethodPut, "/v1/kv/"+key+"?"+how+"="+id, value)
	if err != nil {
		return false, err
	}
	return a.yes()
}

// lockKeys makes a session for a leaseholder, and the keys that it deletes when it ends.
func (l *leaseholder) lockKeys(ctx context.Context, s *server, o *history.Leased) error {
	id, err := s.createSession(ctx, l.ttl, 0, "delete")
	if err != nil {
		return err
	}
	l.holder.Session = id
	for i := range keysPerLease {
		key := fmt.Sprintf("%s%d", l.prefix, i)
		o.Keys = append(o.Keys, key)
		took, err := s.lock(ctx, "acquire", key, id, l.value())
		if err == nil && !took {
			err = fmt.Errorf("nobody else knows of key %s, and its lock was not to be had", key)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// beginSession makes the session that a lock is to be held with.
func (k *contender) beginSession(ctx context.Context) bool {
	if k.chance(80) {
		k.delay = k.ttl / 2
	}
	s := k.nearWith(overHTTP)
	return k.ask(ctx, s, "http", k.cfg.Patience, func(ctx context.Context) (err error) {
		k.holder.Session, err = s.createSession(ctx, k.ttl, k.delay, "release")
		return err
	}).Outcome == history.OK
}

// takeWithSession takes the lock by ?acquire=, and looks at what token that was.
func (k *contender) takeWithSession(ctx context.Context, s *server, o *history.Locked) error {
	took, err := s.lock(ctx, "acquire", k.lock.key, k.holder.Session, k.value())
	if o.Missed = err == nil && !took; o.Missed || err != nil {
		return err
	}
	a, err := s.send(ctx, http.MethodGet, "/v1/kv/"+k.lock.key+"?consistent", nil)
	if err != nil {
		return fmt.Errorf("it was taken, whatever this refusal says: %v", err)
	}
	var found []api.KVPair
	if err := json.Unmarshal(a.body, &found); err != nil || len(found) != 1 || found[0].Session != k.holder.Session {
		return fmt.Errorf("lock %s was taken with session %s, and then found to be %.200q", k.lock.key, k.holder.Session, a.body)
	}
	o.Token, o.Count = int64(found[0].ModifyIndex), found[0].LockIndex
	return nil
}

// takeInTxn takes the lock by a transaction, which says what token that is.
func (k *contender) takeInTxn(ctx context.Context, s *server, o *history.Locked) error {
	found, done, err := s.transact(ctx, "/v1/txn", []txnOp{{txnKV{
		Verb: "lock", Key: k.lock.key, Value: []byte(k.value()), Session: k.holder.Session,
	}}})
	if o.Missed = err == nil && !done; o.Missed || err != nil {
		return err
	}
	if len(found) != 1 || found[0].Session != k.holder.Session {
		return fmt.Errorf("lock %s was taken with session %s, and is not held by it in the same step: %+v", k.lock.key, k.holder.Session, found)
	}
	o.Token, o.Count = int64(found[0].ModifyIndex), found[0].LockIndex
	return nil
}

// freeWithSession gives the lock back.
func (k *contender) freeWithSession(ctx context.Context, s *server, o *history.Locked) error {
	freed, err := s.lock(ctx, "release", k.lock.key, k.holder.Session, k.value())
	o.Missed = err == nil && !freed
	return err
}

// endSession ends the session. Where it still holds the lock, the lock delay begins.
func (k *contender) endSession(ctx context.Context) {
	o := history.Locked{Step: history.End, Token: k.token}
	s := k.nearWith(overHTTP)
	o.Span = k.ask(ctx, s, "http", k.cfg.Patience, func(ctx context.Context) error { return s.destroySession(ctx, k.holder.Session) })
	k.record(o)
}
