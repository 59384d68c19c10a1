package query

import (
	"context"
	"fmt"

	"herald/registry"
)

// AliasError says that another query has the name already. It is registry.ErrInvalid
// to errors.Is.
type AliasError struct {
	Name     string
	Template bool
}

func (e *AliasError) Error() string {
	kind := "query"
	if e.Template {
		kind = "query template"
	}
	return fmt.Sprintf("name %q aliases an existing %s name", e.Name, kind)
}

// Is makes errors.Is(err, registry.ErrInvalid) hold.
func (e *AliasError) Is(target error) bool { return target == registry.ErrInvalid }

// Create keeps a definition, which has an ID that no other has. It ends with the
// lease, 0 for none. Errors: *InvalidError, *AliasError, registry.ErrTooLarge, and
// those of the store.
func Create(ctx context.Context, s registry.Store, d Definition, lease registry.LeaseID) error {
	t := registry.Txn{Compare: []registry.Compare{absent(Key(d.ID))}}
	if name := d.nameKey(); name != "" {
		t.Compare = append(t.Compare, absent(name))
	}
	put, err := d.put(lease)
	if err != nil {
		return err
	}
	t.Then = put
	res, err := s.Txn(ctx, t)
	if err == nil && !res.Succeeded {
		err = &AliasError{d.Name, d.IsTemplate()}
	}
	return err
}

// Update puts d in the place of old, which has the same ID. done is false, and nothing
// was written, if old is not what is kept any more. Errors are those of Create.
func Update(ctx context.Context, s registry.Store, old *Stored, d Definition, lease registry.LeaseID) (done bool, err error) {
	was, is := old.nameKey(), d.nameKey()
	t := registry.Txn{Compare: []registry.Compare{unchanged(old)}}
	if is != "" && is != was {
		t.Compare = append(t.Compare, absent(is))
	}
	// Whether it is the query that has changed, or the name that is taken.
	t.Else = []registry.Op{{Range: &registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.One(Key(d.ID)), KeysOnly: true}}}
	if was != "" && is != was {
		t.Then = append(t.Then, remove(was))
	}
	put, err := d.put(lease)
	if err != nil {
		return false, err
	}
	t.Then = append(t.Then, put...)
	res, err := s.Txn(ctx, t)
	if err != nil || res.Succeeded {
		return err == nil, err
	}
	if kvs := res.Results[0].Range.KVs; len(kvs) == 1 && kvs[0].ModRevision == old.ModRevision {
		return false, &AliasError{d.Name, d.IsTemplate()}
	}
	return false, nil
}

// Delete removes a query. done is false, and nothing was written, if old is not what is
// kept any more.
func Delete(ctx context.Context, s registry.Store, old *Stored) (done bool, err error) {
	t := registry.Txn{Compare: []registry.Compare{unchanged(old)}, Then: []registry.Op{remove(Key(old.ID))}}
	if name := old.nameKey(); name != "" {
		t.Then = append(t.Then, remove(name))
	}
	res, err := s.Txn(ctx, t)
	return err == nil && res.Succeeded, err
}

// put are the operations that write a definition and its name.
func (d *Definition) put(lease registry.LeaseID) ([]registry.Op, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	b, err := d.encode()
	if err != nil {
		return nil, err
	}
	ops := []registry.Op{put(Key(d.ID), b, lease)}
	if name := d.nameKey(); name != "" {
		ops = append(ops, put(name, []byte(d.ID), lease))
	}
	return ops, nil
}

func put(key string, value []byte, lease registry.LeaseID) registry.Op {
	return registry.Op{Put: &registry.PutRequest{Space: registry.SpaceSession, Key: key, Value: value, Lease: lease, IfChanged: true}}
}

func remove(key string) registry.Op {
	return registry.Op{Delete: &registry.DeleteRequest{Space: registry.SpaceSession, KeyRange: registry.One(key)}}
}

func absent(key string) registry.Compare {
	return registry.Compare{Space: registry.SpaceSession, KeyRange: registry.One(key), Target: registry.CompareCreate}
}

func unchanged(s *Stored) registry.Compare {
	return registry.Compare{Space: registry.SpaceSession, KeyRange: registry.One(Key(s.ID)), Target: registry.CompareMod, Int: s.ModRevision}
}
