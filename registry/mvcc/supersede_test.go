package mvcc

import (
	"encoding/hex"
	"errors"
	"testing"

	"herald/registry"
)

func TestSupersededSnapshotGolden(t *testing.T) {
	s := snapshotState(t)
	if err := s.Supersede(registry.Revisions{3, 300, 0}, testOrigin); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, s.View())
	golden(t, "testdata/snapshot-restored.golden", hex.Dump(encode(t, s.View())))
}

// TestSupersedeKeepsViews has a reader of the state as it was read on.
func TestSupersedeKeepsViews(t *testing.T) {
	s := snapshotState(t)
	v := s.View()
	before, hash := dump(v), v.Hash()
	if err := s.Supersede(registry.Revisions{}, testOrigin); err != nil {
		t.Fatal(err)
	}
	for _, g := range goldenCommands {
		s.Apply(&g.c)
	}
	s.Publish()
	if dump(v) != before || v.Hash() != hash {
		t.Error("a view changed under its reader")
	}
}

func TestSupersedeRunsOutOfRevisions(t *testing.T) {
	s := New()
	if err := s.Supersede(registry.Revisions{0, maxRevision / 2, 0}, testOrigin); err != nil {
		t.Fatalf("at the highest that is taken: %v", err)
	}
	roundTrip(t, s.View())
	if err := s.Supersede(registry.Revisions{}, testOrigin); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("of a state beyond it: %v, want ErrCorrupt", err)
	}
	if err := New().Supersede(registry.Revisions{maxRevision/2 + 1}, testOrigin); !errors.Is(err, registry.ErrCorrupt) {
		t.Errorf("over a state beyond it: %v, want ErrCorrupt", err)
	}
}
