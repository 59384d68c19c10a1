package plugin

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"testing"

	"herald/registry"
)

func newDoor() Door { return nil }

func newCheck(registry.CheckDefinition) (registry.Checker, error) { return nil, nil }

func newSource() Source { return nil }

// panicOf returns what f panicked with, "" if it did not.
func panicOf(f func()) (text string) {
	defer func() {
		if r := recover(); r != nil {
			text = r.(string)
		}
	}()
	f()
	return ""
}

func TestMistakesOfTheProgramPanic(t *testing.T) {
	for _, tc := range []struct {
		what string
		do   func(r *Registry)
		want string
	}{
		{"no name", func(r *Registry) { r.Door(DoorInfo{New: newDoor}) }, `door ""`},
		{"a name with capitals", func(r *Registry) { r.Door(DoorInfo{Name: "HTTP", New: newDoor}) }, `door "HTTP"`},
		{"a name with a dot", func(r *Registry) { r.Check(CheckInfo{Name: "a.b", New: newCheck}) }, `check kind "a.b"`},
		{"a name with a digit first", func(r *Registry) { r.Source(SourceInfo{Name: "1st", New: newSource}) }, `source "1st"`},
		{"a door without constructor", func(r *Registry) { r.Door(DoorInfo{Name: "a"}) }, "no constructor"},
		{"a check without constructor", func(r *Registry) { r.Check(CheckInfo{Name: "a"}) }, "no constructor"},
		{"a source without constructor", func(r *Registry) { r.Source(SourceInfo{Name: "a"}) }, "no constructor"},
		{"a name that is taken", func(r *Registry) {
			r.Door(DoorInfo{Name: "a", New: newDoor})
			r.Door(DoorInfo{Name: "a", New: newDoor})
		}, `door "a" is registered twice`},
	} {
		if got := panicOf(func() { tc.do(&Registry{}) }); !strings.Contains(got, tc.want) {
			t.Errorf("%s: panic %q, want %q in it", tc.what, got, tc.want)
		}
	}
}

func TestOneNameMayServeDifferentThings(t *testing.T) {
	r := &Registry{}
	r.Door(DoorInfo{Name: "dns", New: newDoor})
	r.Check(CheckInfo{Name: "dns", New: newCheck})
	r.Source(SourceInfo{Name: "dns", New: newSource})
	if len(r.Doors()) != 1 || len(r.Checks()) != 1 || len(r.Sources()) != 1 {
		t.Errorf("%v, %v, %v", r.Doors(), r.Checks(), r.Sources())
	}
}

func TestListingsAreSortedWhateverTheOrder(t *testing.T) {
	r := &Registry{}
	var wg sync.WaitGroup
	for _, name := range []string{"c", "a", "b-2", "b-1"} {
		wg.Go(func() { r.Door(DoorInfo{Name: name, New: newDoor}) })
	}
	wg.Wait()
	var names []string
	for _, d := range r.Doors() {
		names = append(names, d.Name)
	}
	if want := []string{"a", "b-1", "b-2", "c"}; !slices.Equal(names, want) {
		t.Errorf("%v, want %v", names, want)
	}
}

func TestListenErrorKeepsItsCause(t *testing.T) {
	err := error(&ListenError{Setting: "address", Address: "127.0.0.1:80", Err: fs.ErrPermission})
	if !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), "127.0.0.1:80") || !strings.Contains(err.Error(), `"address"`) {
		t.Error(err)
	}
}
