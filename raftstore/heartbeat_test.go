package raftstore

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
)

// A leader that hears of its successor by a heartbeat appends nothing more: what it would
// append now, it would append in the successor's term.
func TestHeartbeatOfSuccessor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCluster(t, 3, nil)
		l := c.leader()
		settle()
		leader, other := c.stores[l], (l+1)%3
		term, _ := leader.leads()
		before := leader.raft.LastIndex()
		req := &raft.AppendEntriesRequest{
			RPCHeader: raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(c.servers[other].ID), Addr: []byte(c.servers[other].Address)},
			Term:      term + 10,
		}
		var resp raft.AppendEntriesResponse
		if err := c.stores[other].transport.AppendEntries(c.servers[l].ID, c.servers[l].Address, req, &resp); err != nil {
			t.Fatal(err)
		}
		if !resp.Success || resp.Term != term+10 {
			t.Errorf("a heartbeat of term %d: %+v", term+10, resp)
		}
		err := leader.raft.Barrier(0).Error()
		if last := leader.raft.LastIndex(); err == nil || last != before {
			t.Errorf("asked for an entry by a leader of term %d that knows of term %d: %v, and its log went from %d to %d", term, term+10, err, before, last)
		}
		mustPut(t, c.stores[c.leader()], "k", "v")
		for _, s := range c.stores {
			wantValue(t, s, "k", "v")
		}
	})
}

// busyRaft is what raft says of itself, one call after the other; the last goes on.
type busyRaft struct {
	terms []uint64
	state raft.RaftState
}

func (s *busyRaft) State() raft.RaftState { return s.state }
func (s *busyRaft) LastIndex() uint64     { return 70 }
func (s *busyRaft) CurrentTerm() uint64 {
	term := s.terms[0]
	if len(s.terms) > 1 {
		s.terms = s.terms[1:]
	}
	return term
}

// While raft is busy a heartbeat is answered for it where that changes nothing, and waits for it otherwise.
func TestHeartbeatWhileRaftIsBusy(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		raft     raftState // nil is not there yet
		answered bool
	}{
		"not there yet":            {},
		"follows in this term":     {&busyRaft{[]uint64{5}, raft.Follower}, true},
		"is of an earlier term":    {&busyRaft{[]uint64{4}, raft.Follower}, false},
		"is of a later term":       {&busyRaft{[]uint64{6}, raft.Follower}, false},
		"stands for election":      {&busyRaft{[]uint64{5}, raft.Candidate}, false},
		"leads":                    {&busyRaft{[]uint64{5}, raft.Leader}, false},
		"takes on a term just now": {&busyRaft{[]uint64{5, 6}, raft.Follower}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				tr := &transport{patience: 100 * time.Millisecond, requests: make(chan raft.RPC), done: make(chan struct{})}
				if tt.raft != nil {
					tr.attend(tt.raft)
				}
				answers := make(chan raft.RPCResponse, 1)
				go tr.heartbeat(raft.RPC{Command: &raft.AppendEntriesRequest{Term: 5}, RespChan: answers})
				time.Sleep(time.Second)
				synctest.Wait()
				select {
				case a := <-answers:
					got, _ := a.Response.(*raft.AppendEntriesResponse)
					if !tt.answered || got == nil || !got.Success || got.Term != 5 || got.LastLog != 70 || a.Error != nil {
						t.Errorf("answered %+v, %v", got, a.Error)
					}
					return
				default:
				}
				if tt.answered {
					t.Fatal("no answer")
				}
				r := <-tr.requests // raft has time again
				r.Respond(&raft.AppendEntriesResponse{Term: 7}, nil)
				if a := <-answers; a.Response.(*raft.AppendEntriesResponse).Term != 7 {
					t.Errorf("answered %+v", a)
				}
			})
		})
	}
}

// A heartbeat that waits does not hold up the end.
func TestHeartbeatAtTheEnd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		tr := &transport{patience: time.Second, requests: make(chan raft.RPC), done: make(chan struct{})}
		answers := make(chan raft.RPCResponse, 1)
		go tr.heartbeat(raft.RPC{Command: &raft.AppendEntriesRequest{Term: 5}, RespChan: answers})
		time.Sleep(10 * time.Second)
		close(tr.done)
		if a := <-answers; !errors.Is(a.Error, raft.ErrTransportShutdown) {
			t.Errorf("answered %+v", a)
		}
	})
}
