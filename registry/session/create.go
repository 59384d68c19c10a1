package session

import (
	"context"
	"fmt"
	"slices"

	"herald/registry"
	"herald/registry/catalog"
)

// CheckError is a check, or a node, for want of which a session cannot be. Its text is
// what clients of the HTTP API know.
type CheckError struct {
	Check    string // "" for the node
	Critical bool
}

func (e *CheckError) Error() string {
	switch {
	case e.Check == "":
		return "Missing node registration"
	case e.Critical:
		return fmt.Sprintf("Check '%s' is in critical state", e.Check)
	}
	return fmt.Sprintf("Missing check '%s' registration", e.Check)
}

// Create makes a session, of which the caller chose all that is not the store's to choose,
// and returns its id. It fails with a *CheckError if a check that it is to end with is not
// there or is critical.
func (s *Sessions) Create(ctx context.Context, want Session) (ID, error) {
	x, err := s.freshCatalog(ctx)
	if err != nil {
		return "", err
	}
	if err := want.alive(x); err != nil {
		return "", err
	}
	lease := newLease()
	r := record{Session: want, marks: newLease()}
	r.ID = IDOf(lease)
	_, err = s.store.Txn(ctx, registry.Txn{Then: []registry.Op{
		{Grant: &registry.GrantRequest{ID: lease, TTL: want.TTL, DeleteLocked: want.Behavior == Delete}},
		{Put: &registry.PutRequest{Space: registry.SpaceSession, Key: Key(r.ID), Value: r.encode(), Lease: lease}},
	}})
	if err != nil {
		return "", err
	}
	return r.ID, nil
}

// freshCatalog is the catalog with all that was acknowledged before the call.
func (s *Sessions) freshCatalog(ctx context.Context) (*catalog.Index, error) {
	now, err := s.store.Range(ctx, registry.RangeRequest{Space: registry.SpaceCatalog, KeyRange: registry.One("\x00"), CountOnly: true})
	if err != nil {
		return nil, err
	}
	x, err := s.catalog.WaitRevision(ctx, now.Revision)
	if err != nil {
		return nil, fmt.Errorf("%w: this server's catalog is behind: %w", registry.ErrUnavailable, err)
	}
	return x, nil
}

// alive returns nil if the catalog has the session's node and all its checks, none of them
// critical, and a *CheckError otherwise.
func (s *Session) alive(x *catalog.Index) error {
	node := x.Node(s.Node)
	if node == nil {
		return &CheckError{}
	}
	for _, ids := range [...][]string{s.NodeChecks, s.Checks, s.ServiceChecks} {
		for _, id := range ids {
			c := checkOn(node, id)
			if c == nil {
				return &CheckError{Check: id}
			}
			if c.Status == registry.Critical {
				return &CheckError{Check: id, Critical: true}
			}
		}
	}
	return nil
}

// checkOn returns a check of a node, or of an instance on it.
func checkOn(node *catalog.Node, id string) *catalog.Check {
	byID := func(c *catalog.Check) bool { return c.ID == id }
	if i := slices.IndexFunc(node.Checks, byID); i >= 0 {
		return node.Checks[i]
	}
	for _, inst := range node.Instances() {
		if i := slices.IndexFunc(inst.Checks, byID); i >= 0 {
			return inst.Checks[i]
		}
	}
	return nil
}
