package catalog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"herald/registry"
	"herald/registry/storetest"
)

const (
	idA = "3f2c8a52-9d1d-4b7e-8f7e-0d7e5a3c1b11"
	idB = "b7a1c0de-52d4-4a4c-9a55-5b5f1f0e2c22"
)

// claim is what a node of some id wants: one service of its own name.
func claim(id, service string) NodeRecords {
	w := wantOf("n", registry.Instance{ID: service, Service: service})
	w.Node.ID = id
	return w
}

func grant(t *testing.T, s registry.Store) registry.LeaseID {
	t.Helper()
	l, err := s.GrantLease(t.Context(), 0, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return l.ID
}

// A node record belongs to the node ID that wrote it.
func TestNodeBelongsToItsID(t *testing.T) {
	for name, c := range map[string]struct {
		holder   string // its node ID
		leased   bool   // the holder's record hangs from a lease
		id       string // who comes
		sameLs   bool   // with the holder's lease
		taken    bool
		mentions string
	}{
		"another's on a lease":         {holder: idA, leased: true, id: idB, taken: true, mentions: "wait until the other's lease has run out"},
		"another's on no lease":        {holder: idA, id: idB, taken: true, mentions: "deregister that node"},
		"another's, by one without id": {holder: idA, leased: true, id: "", taken: true, mentions: "--node-name"},
		"its own":                      {holder: idA, leased: true, id: idA},
		"its own, in capitals":         {holder: idA, leased: true, id: strings.ToUpper(idA)},
		"nobody's":                     {holder: "", id: idA},
		"nobody's on a lease":          {holder: "", leased: true, id: idA},
		"of its own lease":             {holder: idA, leased: true, id: idB, sameLs: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory(t)
			var holds registry.LeaseID
			if c.leased {
				holds = grant(t, s)
			}
			first := claim(c.holder, "first")
			if err := Advertise(t.Context(), s, holds, first); err != nil {
				t.Fatal(err)
			}
			lease := holds
			if !c.sameLs {
				lease = grant(t, s)
			}
			second := claim(c.id, "second")
			err := Advertise(t.Context(), s, lease, second)
			if !c.taken {
				if err != nil {
					t.Fatal(err)
				}
				has(t, s, lease, second)
				if err := Withdraw(t.Context(), s, second.Node); err != nil {
					t.Error(err)
				}
				return
			}
			for what, err := range map[string]error{"Advertise": err, "Withdraw": Withdraw(t.Context(), s, second.Node)} {
				if !errors.Is(err, registry.ErrNodeTaken) || !strings.Contains(err.Error(), idA) ||
					!strings.Contains(err.Error(), `node name "n"`) || !strings.Contains(err.Error(), c.mentions) {
					t.Errorf("%s: %v, want ErrNodeTaken that names %s and says %q", what, err, idA, c.mentions)
				}
			}
			has(t, s, holds, first)
			if err := Withdraw(t.Context(), s, first.Node); err != nil {
				t.Fatal(err)
			}
			if err := Advertise(t.Context(), s, lease, second); err != nil {
				t.Errorf("once the name is free: %v", err)
			}
		})
	}
}

// A record of a node that cannot be read keeps nobody out.
func TestMalformedNodeIsNobodys(t *testing.T) {
	s := storetest.NewMemory(t)
	op := registry.Op{Put: &registry.PutRequest{Space: registry.SpaceCatalog, Key: NodeKey("n"), Value: []byte{0xff}}}
	if _, err := s.Txn(t.Context(), registry.Txn{Then: []registry.Op{op}}); err != nil {
		t.Fatal(err)
	}
	want := claim(idA, "web")
	if err := Advertise(t.Context(), s, 0, want); err != nil {
		t.Fatal(err)
	}
	has(t, s, 0, want)
}

// The name becomes another's between the look and the write.
func TestNodeIsTakenMeanwhile(t *testing.T) {
	for name, work := range map[string]func(ctx context.Context, s registry.Store) error{
		"advertise": func(ctx context.Context, s registry.Store) error { return Advertise(ctx, s, 0, claim(idB, "second")) },
		"withdraw":  func(ctx context.Context, s registry.Store) error { return Withdraw(ctx, s, claim(idB, "second").Node) },
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory(t)
			first := claim(idA, "first")
			m := &meddler{Store: s}
			m.meddle = func(attempt int) []registry.Op {
				if attempt == 0 {
					if err := Advertise(t.Context(), s, 0, first); err != nil {
						t.Error(err)
					}
				}
				return nil
			}
			if err := work(t.Context(), m); !errors.Is(err, registry.ErrNodeTaken) {
				t.Errorf("got %v, want ErrNodeTaken", err)
			}
			has(t, s, 0, first)
		})
	}
}
