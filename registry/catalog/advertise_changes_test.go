package catalog

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"herald/registry"
	"herald/registry/storetest"
)

func TestAdvertiseChanges(t *testing.T) {
	s := storetest.NewMemory(t)
	l, err := s.GrantLease(t.Context(), 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	want := wantOf("n1", registry.Instance{ID: "a", Service: "web"}, registry.Instance{ID: "b", Service: "web"})
	if err := Advertise(t.Context(), s, l.ID, want); err != nil {
		t.Fatal(err)
	}
	// One goes with its check, one comes, one changes, and so does the check of the node.
	err = AdvertiseChanges(t.Context(), s, l.ID, NodeChanges{
		Node:          want.Node,
		Instances:     []registry.Instance{{ID: "b", Service: "web", Port: 80}, {ID: "c", Service: "db"}},
		Checks:        []registry.Check{{ID: registry.NodeCheckID, Status: registry.Warning}, {ID: "service:c", ServiceID: "c", Status: registry.Passing}},
		GoneInstances: []string{"a", "never was"},
		GoneChecks:    []CheckRef{{"a", "service:a"}, {"", "never was"}},
	})
	if err != nil {
		t.Fatal(err)
	}
	want = wantOf("n1", registry.Instance{ID: "b", Service: "web", Port: 80}, registry.Instance{ID: "c", Service: "db"})
	want.Checks[0].Status = registry.Warning
	has(t, s, l.ID, want)

	// Very much goes in parts.
	var many NodeChanges
	many.Node = want.Node
	for i := range 40 {
		many.Instances = append(many.Instances, registry.Instance{ID: fmt.Sprint("m", i), Service: "m", Meta: map[string]string{"k": strings.Repeat("v", 30<<10)}})
	}
	if err := AdvertiseChanges(t.Context(), s, l.ID, many); err != nil {
		t.Fatal(err)
	}
	want.Instances = append(want.Instances, many.Instances...)
	has(t, s, l.ID, want)
}

func TestAdvertiseChangesOfWhatIsNotAdvertised(t *testing.T) {
	for name, spoil := range map[string]func(t *testing.T, s *storetest.Memory, node registry.Node) (registry.LeaseID, registry.Node){
		"never": func(*testing.T, *storetest.Memory, registry.Node) (registry.LeaseID, registry.Node) {
			return 0, registry.Node{Name: "n2", Address: "10.0.0.2"}
		},
		"under another lease": func(t *testing.T, s *storetest.Memory, node registry.Node) (registry.LeaseID, registry.Node) {
			l, err := s.GrantLease(t.Context(), 0, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			return l.ID, node
		},
		"as another node": func(_ *testing.T, _ *storetest.Memory, node registry.Node) (registry.LeaseID, registry.Node) {
			node.Address = "10.0.0.9"
			return 0, node
		},
		"any more": func(t *testing.T, s *storetest.Memory, node registry.Node) (registry.LeaseID, registry.Node) {
			if err := Withdraw(t.Context(), s, node); err != nil {
				t.Fatal(err)
			}
			return 0, node
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := storetest.NewMemory(t)
			l, err := s.GrantLease(t.Context(), 0, time.Minute)
			if err != nil {
				t.Fatal(err)
			}
			want := wantOf("n1")
			if err := Advertise(t.Context(), s, l.ID, want); err != nil {
				t.Fatal(err)
			}
			lease, node := spoil(t, s, want.Node)
			if lease == 0 {
				lease = l.ID
			}
			err = AdvertiseChanges(t.Context(), s, lease, NodeChanges{Node: node, Instances: []registry.Instance{{ID: "a", Service: "web"}}})
			if !errors.Is(err, registry.ErrNotAdvertised) {
				t.Errorf("%v, want ErrNotAdvertised", err)
			}
			if have, _, err := recordsOf(t.Context(), s, node.Name); err != nil || have[InstanceKey(node.Name, "a")].Key != "" {
				t.Errorf("it was written all the same: %v, %v", have, err)
			}
		})
	}
}

func TestAdvertiseChangesRefuses(t *testing.T) {
	s := storetest.NewMemory(t)
	node := registry.Node{Name: "n1", Address: "10.0.0.1"}
	for name, c := range map[string]NodeChanges{
		"no node":               {},
		"an instance elsewhere": {Node: node, Instances: []registry.Instance{{ID: "a", Service: "web", Node: "n2"}}},
		"no service":            {Node: node, Instances: []registry.Instance{{ID: "a"}}},
		"a check elsewhere":     {Node: node, Checks: []registry.Check{{ID: "c", Node: "n2", Status: registry.Passing}}},
		"a check without id":    {Node: node, Checks: []registry.Check{{Status: registry.Passing}}},
	} {
		if err := AdvertiseChanges(t.Context(), s, 1, c); !errors.Is(err, registry.ErrInvalid) {
			t.Errorf("%s: %v, want ErrInvalid", name, err)
		}
	}
}
