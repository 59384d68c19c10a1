package query

import (
	"context"
	"strings"

	"herald/registry"
)

// Reader reads a range of the store, as fresh as whoever asks wants it.
type Reader func(context.Context, registry.RangeRequest) (registry.RangeResult, error)

// ByID returns the query of an id, nil if there is none.
func ByID(ctx context.Context, read Reader, id string) (*Stored, error) {
	kv, err := one(ctx, read, Key(id))
	if kv == nil {
		return nil, err
	}
	return Decode(kv)
}

// Find returns the query that is called by an id or a name, nil if there is none. A
// name stands for the query that has it, or else for what the template with the
// longest prefix of it makes of it; a template called by its id is returned as it is.
func Find(ctx context.Context, read Reader, idOrName string) (*Stored, error) {
	if IsID(idOrName) {
		return ByID(ctx, read, idOrName)
	}
	name := fold(idOrName)
	kv, err := one(ctx, read, namePrefix+name)
	if err != nil {
		return nil, err
	}
	if kv != nil {
		return ByID(ctx, read, string(kv.Value))
	}
	res, err := read(ctx, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.Prefix(prefixPrefix)})
	if err != nil {
		return nil, err
	}
	// Prefixes of one name are in order of their length.
	for i := len(res.KVs) - 1; i >= 0; i-- {
		if !strings.HasPrefix(name, strings.TrimPrefix(res.KVs[i].Key, prefixPrefix)) {
			continue
		}
		t, err := ByID(ctx, read, string(res.KVs[i].Value))
		if t == nil || err != nil {
			return nil, err
		}
		t.Definition, err = t.Render(idOrName)
		return t, err
	}
	return nil, nil
}

func one(ctx context.Context, read Reader, key string) (*registry.KeyValue, error) {
	res, err := read(ctx, registry.RangeRequest{Space: registry.SpaceSession, KeyRange: registry.One(key)})
	if err != nil || len(res.KVs) == 0 {
		return nil, err
	}
	return &res.KVs[0], nil
}
