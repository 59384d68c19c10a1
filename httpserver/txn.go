package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"herald/httpserver/api"
	"herald/registry"
)

// txnLimit is how many operations a transaction may have.
const txnLimit = 128

// txnTries bounds how often a transaction is looked at anew because what it read has
// changed before it was applied.
const txnTries = 32

// txnOp is one operation as clients send it: of one of its kinds, or of none, which does
// nothing.
type txnOp struct {
	KV      *txnKV
	Node    *txnNode
	Service *txnService
	Check   *txnCheck
}

// txn is PUT /v1/txn: all of its operations or none, in one revision of each space.
//
// What an operation does depends on those before it and on more than the store's own
// transactions can ask of a key. So the keys that it is about are read, the operations carried out
// on them here, and what comes of it is written if nothing that was read has changed by
// then, and else all is done anew.
func (s *surface) txn(q *request) error {
	b, err := s.readBody(q, s.live().MaxValueBytes, "max_value_bytes")
	if err != nil {
		return err
	}
	var ops []txnOp
	if err := decodeJSON(b, &ops, false); err != nil {
		return because(registry.ErrInvalid, http.StatusBadRequest, "Failed to parse body: %v", err)
	}
	if len(ops) > txnLimit {
		return refusef(http.StatusRequestEntityTooLarge, "Transaction contains too many operations (%d > %d)", len(ops), txnLimit)
	}
	o, err := parseReadOptions(&q.query)
	if err != nil {
		return err
	}
	ctx := q.caller(registry.ReasonClient)
	for range txnTries {
		t := &txnState{view: view{s.datacenter}, sessions: s.sessions, keep: s.live().MaxKeyBytes}
		if err := t.read(ctx, s.store, o.mode, ops); err != nil {
			return err
		}
		for i := range ops {
			if err := t.run(ctx, i, &ops[i]); err != nil {
				return err
			}
		}
		writes := len(t.ops) > 0
		if len(t.errors) > 0 {
			return t.refuse(q)
		}
		var done registry.TxnResult
		if writes {
			compares := t.compares()
			if bugTxnBlind {
				compares = nil
			}
			done, err = s.store.Txn(ctx, registry.Txn{Compare: compares, Then: t.ops})
			if errors.Is(err, registry.ErrNodeTaken) && t.taken(ops, err) {
				return t.refuse(q)
			}
			if err != nil {
				return err
			}
			if !done.Succeeded {
				continue
			}
			if _, err := s.contains(ctx, done.Revisions[registry.SpaceCatalog]); err != nil {
				return err
			}
		}
		return t.answer(s, q, &o, &done)
	}
	return fmt.Errorf("%w: others change what the transaction is about all the time", registry.ErrUnavailable)
}

// txnError is why an operation cannot be done.
type txnError struct {
	OpIndex int
	What    string
}

func (t *txnState) refuse(q *request) error {
	return q.json(http.StatusConflict, struct {
		Results []any
		Errors  []txnError
	}{nil, t.errors})
}

// taken notes that the store refused a node's name: of the operations those that register
// a node have failed, or, if there are none, those that register something on one. Which node
// it is of several, the error says. It returns false if no operation registers anything.
func (t *txnState) taken(ops []txnOp, err error) bool {
	registers := func(verb string) bool { return verb == "set" || verb == "cas" }
	for i := range ops {
		if op := ops[i].Node; op != nil && registers(op.Verb) {
			t.errors = append(t.errors, txnError{i, err.Error()})
		}
	}
	if len(t.errors) > 0 {
		return true
	}
	for i := range ops {
		if s, c := ops[i].Service, ops[i].Check; s != nil && registers(s.Verb) || c != nil && registers(c.Verb) {
			t.errors = append(t.errors, txnError{i, err.Error()})
		}
	}
	return len(t.errors) > 0
}

// answer answers with the results. Where nothing was to be written it says how fresh they
// are, as a read does.
func (t *txnState) answer(s *surface, q *request, o *readOptions, done *registry.TxnResult) error {
	out := struct {
		Results []json.RawMessage
		Errors  []txnError
		*txnRead
	}{Results: make([]json.RawMessage, 0, len(t.results))}
	for _, result := range t.results {
		b, err := result(done)
		if err != nil {
			return err
		}
		out.Results = append(out.Results, b)
	}
	if t.readOnly {
		idx := index(max(t.revisions[registry.SpaceKV], t.revisions[registry.SpaceCatalog]))
		s.readHeaders(q.header(), o.mode, idx, t.age)
		out.txnRead = &txnRead{Index: idx, KnownLeader: q.header().Get(api.HeaderKnownLeader) == "true", LastContact: t.age.Milliseconds()}
	}
	return q.json(http.StatusOK, out)
}

type txnRead struct {
	Index       uint64
	KnownLeader bool
	LastContact int64
}

// run carries out an operation on what was read. An operation that cannot be done is noted,
// and those after it are looked at all the same, so that every one is named.
func (t *txnState) run(ctx context.Context, at int, op *txnOp) error {
	t.at = at
	switch {
	case op.KV != nil:
		return t.runKV(ctx, op.KV)
	case op.Node != nil:
		t.runNode(op.Node)
	case op.Service != nil:
		t.runService(op.Service)
	case op.Check != nil:
		t.runCheck(op.Check)
	}
	return nil
}
