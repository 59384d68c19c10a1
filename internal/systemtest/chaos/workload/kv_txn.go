package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
)

// txnOp is an operation of the HTTP door's transactions, on a key.
type txnOp struct{ KV txnKV }

type txnKV struct {
	Verb  string
	Key   string
	Value []byte `json:",omitempty"`
	Index int64  `json:",omitempty"`
	// Session is of the verb lock.
	Session string `json:",omitempty"`
}

// chooseTxnStep decides on a step over HTTP's transactions.
func (c *client) chooseTxnStep(o *history.KV, known map[string]int64) step {
	keys := keysOf(o.Group)
	c.rng.Shuffle(len(keys), func(i, j int) { keys[i], keys[j] = keys[j], keys[i] })
	put := func(key string) history.Write { return history.Write{Key: key, Value: c.value()} }
	switch n := c.rng.IntN(100); {
	case n < 25: // all at one moment
		o.Mode = history.Default
		if c.chance(50) {
			o.Mode = history.Consistent
		}
		return txnReadStep(keys[:]...)
	case n < 35: // without a look at what they were
		o.Set = []history.Write{put(keys[0]), put(keys[1])}
	case n < 65:
		o.If = []history.Cond{{Key: keys[0], Rev: known[keys[0]]}}
		o.Set = []history.Write{put(keys[0])}
	default: // one decides over two others
		o.If = []history.Cond{{Key: keys[0], Rev: known[keys[0]]}}
		o.Set = []history.Write{put(keys[1]), put(keys[2])}
		if c.chance(30) {
			o.Set[1] = history.Write{Key: keys[2], Delete: true}
		}
	}
	return txnWriteStep
}

// txnReadStep reads registers in one transaction.
func txnReadStep(keys ...string) step {
	return func(ctx context.Context, s *server, o *history.KV) error {
		path := "/v1/txn"
		if o.Mode != history.Default {
			path += "?" + string(o.Mode)
		}
		ops := make([]txnOp, len(keys))
		for i, key := range keys {
			ops[i].KV = txnKV{Verb: "get-or-empty", Key: key}
		}
		found, done, err := s.transact(ctx, path, ops)
		switch {
		case err != nil:
			return err
		case !done || len(found) != len(keys):
			return fmt.Errorf("a transaction that reads %d keys found %d", len(keys), len(found))
		}
		for i, key := range keys {
			if found[i].Key != key {
				return fmt.Errorf("a transaction that reads key %s was answered with %s", key, found[i].Key)
			}
			o.Got = append(o.Got, history.Cell{Key: key, Value: string(found[i].Value), Rev: int64(found[i].ModifyIndex)})
		}
		return nil
	}
}

// txnWriteStep writes registers in one transaction, if o's conditions hold.
func txnWriteStep(ctx context.Context, s *server, o *history.KV) error {
	ops, told := txnOps(o)
	found, done, err := s.transact(ctx, "/v1/txn", ops)
	switch {
	case err != nil:
		return err
	case !done && len(o.If) == 0:
		return fmt.Errorf("a transaction without a condition was refused for one: %+v", ops)
	case !done:
		o.Missed = true
		return nil
	case len(found) != told:
		return fmt.Errorf("a transaction %+v has %d results, want %d", ops, len(found), told)
	}
	// The last result is of a key that was written: deletions have none.
	o.Rev = int64(found[told-1].ModifyIndex)
	return nil
}

// txnOps are the operations that a step comes to, and how many of them have a result.
func txnOps(o *history.KV) (ops []txnOp, told int) {
	cas := map[string]int64{}
	for _, c := range o.If {
		op := txnKV{Verb: "check-index", Key: c.Key, Index: c.Rev}
		switch {
		case len(o.Set) == 1 && o.Set[0].Key == c.Key:
			cas[c.Key] = c.Rev
			continue
		case c.Rev == 0:
			op.Verb = "check-not-exists"
		default:
			told++
		}
		ops = append(ops, txnOp{op})
	}
	for _, w := range o.Set {
		op := txnKV{Verb: "set", Key: w.Key, Value: []byte(w.Value)}
		if rev, ok := cas[w.Key]; ok {
			op.Verb, op.Index = "cas", rev
		}
		if w.Delete {
			op = txnKV{Verb: "delete", Key: w.Key}
		} else {
			told++
		}
		ops = append(ops, txnOp{op})
	}
	return ops, told
}

// transact asks for a transaction. done is false if one of its conditions did not hold.
func (s *server) transact(ctx context.Context, path string, ops []txnOp) (found []api.KVPair, done bool, err error) {
	a, err := s.send(ctx, http.MethodPut, path, ops)
	if err != nil {
		return nil, false, err
	}
	var out struct {
		Results []struct{ KV api.KVPair }
		Errors  []struct {
			OpIndex int
			What    string
		}
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return nil, false, fmt.Errorf("answer %.200q to a transaction: %w", a.body, err)
	}
	switch {
	case a.status == http.StatusConflict && len(out.Errors) > 0:
		return nil, false, nil
	case a.status != http.StatusOK || len(out.Errors) > 0:
		return nil, false, fmt.Errorf("answer %d %.200q to a transaction", a.status, a.body)
	}
	for i := range out.Results {
		found = append(found, out.Results[i].KV)
	}
	return found, true, nil
}
