package query

import (
	"encoding/json"
	"fmt"
	"strings"

	"herald/registry"
)

const (
	idPrefix     = "query/"
	namePrefix   = "query-name/"
	prefixPrefix = "query-prefix/"
)

// Key is where the definition of an id is kept.
func Key(id string) string { return idPrefix + strings.ToLower(id) }

// All is the range of all definitions, by id.
func All() registry.KeyRange { return registry.Prefix(idPrefix) }

// nameKey is where d's name points to its id, "" if it has none. A template's may be
// empty: it answers for every name.
func (d *Definition) nameKey() string {
	switch {
	case d.IsTemplate():
		return prefixPrefix + fold(d.Name)
	case d.Name != "":
		return namePrefix + fold(d.Name)
	}
	return ""
}

// Stored is a definition as the store has it.
type Stored struct {
	Definition
	CreateRevision int64
	ModRevision    int64
}

// Decode reads a definition. Errors wrap registry.ErrCorrupt.
func Decode(kv *registry.KeyValue) (*Stored, error) {
	s := &Stored{CreateRevision: kv.CreateRevision, ModRevision: kv.ModRevision}
	if err := json.Unmarshal(kv.Value, &s.Definition); err != nil {
		return nil, fmt.Errorf("prepared query %s: %w: %w", strings.TrimPrefix(kv.Key, idPrefix), registry.ErrCorrupt, err)
	}
	return s, nil
}

// encode returns d's record. It fails if d is too large.
func (d *Definition) encode() ([]byte, error) {
	b, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxBytes {
		return nil, fmt.Errorf("%w: the query has %d bytes, and may have %d", registry.ErrTooLarge, len(b), MaxBytes)
	}
	return b, nil
}
