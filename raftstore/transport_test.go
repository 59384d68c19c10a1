package raftstore

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

func TestDialTarget(t *testing.T) {
	t.Parallel()
	book := addressBook(func(id raft.ServerID) (raft.ServerAddress, bool) { return "[::1]:7400", id != "nobody" })
	for _, id := range []raft.ServerID{"a", "a@b", ""} {
		at, err := book.ServerAddr(id)
		if err != nil {
			t.Fatal(err)
		}
		if to := dialTarget(at); to.Node != string(id) || to.Address != "[::1]:7400" {
			t.Errorf("server %q is dialled as %+v", id, to)
		}
	}
	if _, err := book.ServerAddr("nobody"); err == nil {
		t.Error("an address was made up")
	}
	if to := dialTarget("10.0.0.1:7400"); to.Node != "" || to.Address != "10.0.0.1:7400" {
		t.Errorf("an address alone is dialled as %+v", to)
	}
}

// Two stores over real sockets: a second server that is added is replicated to.
func TestServersOverTCP(t *testing.T) {
	t.Parallel()
	a := openReady(t, testConfig(t))
	mustPut(t, a, "k", "v")
	cfg := testConfig(t)
	cfg.BootstrapExpect = 0
	b, err := open(cfg, options{cluster: a.Status().ClusterID})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	// While it has no vote the leader needs nobody's leave.
	if err := a.raft.AddNonvoter(raft.ServerID(b.Status().ID), raft.ServerAddress(b.PeerAddress()), 0, 0).Error(); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.leadsAlone(); !ok {
		t.Error("a leader with a non-voter beside it does not lead alone")
	}
	waitSame(t, a, b)
	if err := a.raft.AddVoter(raft.ServerID(b.Status().ID), raft.ServerAddress(b.PeerAddress()), 0, 0).Error(); err != nil {
		t.Fatal(err)
	}
	if _, ok := a.leadsAlone(); ok {
		t.Error("a leader with another voter leads alone")
	}
	mustPut(t, a, "k", "w")
	wantValue(t, a, "k", "w") // read index, confirmed by the other
	waitSame(t, a, b)
	l, err := a.GrantLease(t.Context(), 0, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.KeepAlive(t.Context(), l.ID); err != nil {
		t.Error(err)
	}
}

// waitSame waits until b has what a has.
func waitSame(t *testing.T, a, b *Store) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	want := a.machine.View()
	if err := b.machine.waitApplied(ctx, want.Applied()); err != nil {
		t.Fatal(err)
	}
	if got := b.machine.View(); got.Applied() == want.Applied() && got.Hash() != want.Hash() {
		t.Fatal("the servers differ")
	}
}

// stuckPipeline is raft's, after whoever takes responses is gone.
type stuckPipeline struct {
	raft.AppendPipeline
	closed chan struct{}
}

func (p stuckPipeline) AppendEntries(*raft.AppendEntriesRequest, *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	<-p.closed
	return nil, raft.ErrPipelineShutdown
}

func (p stuckPipeline) Close() error {
	close(p.closed)
	return nil
}

func TestStuckPipelineIsClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := mutablePipeline{stuckPipeline{closed: make(chan struct{})}, &transport{timeout: 5 * time.Second}}
		start := time.Now()
		_, err := p.AppendEntries(nil, nil)
		if took := time.Since(start); !errors.Is(err, raft.ErrPipelineShutdown) || took != 5*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
