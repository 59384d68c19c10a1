package chaosdoor

import (
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// openDoor serves a store in memory and returns a client of it, and what ends the door.
func openDoor(t *testing.T) (*Client, *storetest.Memory, func()) {
	t.Helper()
	m := storetest.NewMemory(t)
	d := &Door{config: Config{Address: "127.0.0.1:0"}}
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	if err := d.Open(t.Context(), &plugin.Host{Store: m, Cluster: m}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- d.Run(ctx) }()
	end := func() {
		if cancel(); ran != nil {
			if err := <-ran; err != nil {
				t.Error(err)
			}
			ran = nil
		}
	}
	c := NewClient(d.Addresses()[0].Address)
	t.Cleanup(func() {
		c.Close()
		end()
	})
	return c, m, end
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) registry.Store {
		c, _, _ := openDoor(t)
		return c
	})
}

func TestErrorsKeepWhatTheyAre(t *testing.T) {
	for name, sentinel := range sentinels {
		err := encodeError(fmt.Errorf("because: %w", sentinel)).err()
		if !errors.Is(err, sentinel) || err.Error() != "because: "+sentinel.Error() {
			t.Errorf("%s came back as %v", name, err)
		}
		for other, not := range sentinels {
			if other != name && errors.Is(err, not) {
				t.Errorf("%s came back as %s too", name, other)
			}
		}
	}
	var compacted *registry.CompactedError
	if err := encodeError(&registry.CompactedError{Space: registry.SpaceCatalog, Lowest: 7}).err(); !errors.As(err, &compacted) ||
		*compacted != (registry.CompactedError{Space: registry.SpaceCatalog, Lowest: 7}) || !errors.Is(err, registry.ErrCompacted) {
		t.Errorf("got %#v", err)
	}
	var require *registry.RequireError
	if err := encodeError(&registry.RequireError{Op: 3, Have: registry.KeyValue{Key: "a", Version: 2}}).err(); !errors.As(err, &require) ||
		require.Op != 3 || require.Have.Version != 2 || !errors.Is(err, registry.ErrRequire) {
		t.Errorf("got %#v", err)
	}
	if encodeError(nil).err() != nil {
		t.Error("no error came back as one")
	}
}

// notOfStores are sentinels that no call of this door can return.
var notOfStores = map[string]bool{
	"ErrDataDirLocked": true, "ErrDataDirOwner": true,
	"ErrServiceNotFound": true, "ErrCheckNotFound": true, "ErrNodeNotFound": true, "ErrNodeTaken": true, "ErrNotAdvertised": true, "ErrDuplicateService": true,
	"ErrNotTTLCheck": true, "ErrInvalidDefinition": true, "ErrExecDisabled": true,
}

func TestEverySentinelTravels(t *testing.T) {
	f, err := parser.ParseFile(token.NewFileSet(), "../../../../registry/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	ast.Inspect(f, func(n ast.Node) bool {
		v, ok := n.(*ast.ValueSpec)
		if !ok || !strings.HasPrefix(v.Names[0].Name, "Err") {
			return true
		}
		seen++
		if name := v.Names[0].Name; sentinels[name] == nil && !notOfStores[name] {
			t.Errorf("registry.%s loses its identity on the way: add it to sentinels", name)
		}
		return true
	})
	if seen < 20 {
		t.Errorf("found only %d sentinels in registry/errors.go", seen)
	}
}

func TestWhatALostConnectionLeavesUnknown(t *testing.T) {
	// A server that takes a call and never answers it.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	accepted := make(chan net.Conn, 8)
	go func() {
		defer close(accepted)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 1)
			_, _ = conn.Read(b)
			accepted <- conn
		}
	}()
	c := NewClient(l.Addr().String())
	defer c.Close()
	put := registry.Txn{Then: []registry.Op{{Put: &registry.PutRequest{Key: "a"}}}}

	go func() { (<-accepted).Close() }()
	if _, err := c.Txn(t.Context(), put); !errors.Is(err, registry.ErrTimeout) {
		t.Errorf("a write whose answer was lost: %v, want its outcome unknown", err)
	}
	go func() { (<-accepted).Close() }()
	if _, err := c.Range(t.Context(), registry.RangeRequest{KeyRange: registry.All()}); !errors.Is(err, registry.ErrUnavailable) {
		t.Errorf("a read whose answer was lost: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := c.Txn(ctx, put); !errors.Is(err, registry.ErrTimeout) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a write that was not answered in time: %v", err)
	}
	l.Close()
	for conn := range accepted {
		conn.Close()
	}
	if _, err := c.Txn(t.Context(), put); !errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrTimeout) {
		t.Errorf("a write that was never sent: %v, want that it had no effect", err)
	}
}

func TestServerThatGoesAwayEndsWatchers(t *testing.T) {
	c, _, end := openDoor(t)
	w, err := c.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
	if err != nil {
		t.Fatal(err)
	}
	end()
	if _, err := w.Next(t.Context()); !errors.Is(err, registry.ErrStopped) {
		t.Errorf("got %v", err)
	}
}

func TestStatusOfTheOtherProcess(t *testing.T) {
	c, m, _ := openDoor(t)
	got, err := c.Status(t.Context())
	if want := m.Status(); err != nil || got.ID != want.ID || !got.IsLeader {
		t.Errorf("got %+v, %v, want %+v", got, err, want)
	}
	if _, _, err := c.StateHash(t.Context()); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("a store without a hash answered %v", err)
	}
	if err := c.Leave(t.Context()); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("a process without an operator answered %v", err)
	}
}
