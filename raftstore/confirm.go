package raftstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
)

// confirmation is that this server led, after the confirmation was asked for.
type confirmation struct {
	term  uint64
	index uint64 // the commit index, taken after it was asked for
}

// confirm makes sure that this server leads, by asking the others which term they are in.
// It is confirmations's call: one serves all who wait.
//
// Why that is enough. Take a voter's answer that its term is not above ours, T. At that
// moment, which is after the question, it has voted in no later term: raft makes its
// term durable, and visible to us, before it votes. So with such answers of a quorum, whoever
// leads in a later term got the vote that is common to both quorums after the question, and
// has acknowledged nothing before it. All that was acknowledged before is in our log and
// committed, since an entry of our term is. No clock is involved, and neither are raft's
// heartbeats: raft's own VerifyLeader counts answers to heartbeats that were sent before the
// question, so a leader that is deposed may yet be confirmed by it.
func (s *Store) confirm() (confirmation, error) {
	if term, ok := s.leadsAlone(); ok {
		return confirmation{term, s.raft.CommitIndex()}, nil
	}
	term, ok := s.leads()
	if !ok {
		return confirmation{}, s.notLeader()
	}
	// The barrier of this term is applied, so the commit index is of this term and
	// covers all that was ever acknowledged; and the entry there is a command or a
	// configuration, which pass through the state machine, so it will be applied.
	index := s.raft.CommitIndex()
	voters := s.others(func(srv raft.Server) bool { return srv.Suffrage == raft.Voter })
	if err := s.poll.ask(voters, term, s.cfg.HeartbeatTimeout); err != nil {
		return confirmation{}, err
	}
	if now, ok := s.leads(); !ok || now != term {
		return confirmation{}, s.notLeader()
	}
	return confirmation{term, index}, nil
}

// handleConfirm answers with this server's term.
func (s *Store) handleConfirm(context.Context, peer.Identity, []byte) ([]byte, error) {
	return binary.AppendUvarint(nil, s.raft.CurrentTerm()), nil
}

// termPoll asks voters for their terms. A voter that has not answered yet is not asked a
// second time, but with the question that is the newest when it does: one that is
// frozen costs a goroutine, not one for each question.
type termPoll struct {
	call func(ctx context.Context, to peer.Target) (term uint64, err error)
	wg   sync.WaitGroup
	ctx  context.Context
	end  context.CancelFunc

	mu     sync.Mutex
	voters map[string]*polledVoter
}

// polledVoter is a voter that is being asked.
type polledVoter struct {
	next *termQuestion // to ask when the one under way is answered
	at   peer.Target   // where to
}

// termQuestion is one question to all voters.
type termQuestion struct {
	term    uint64
	timeout time.Duration
	answers chan bool // room for all: whether the voter's term is not above
}

func newTermPoll(port *peer.Port) *termPoll {
	p := &termPoll{voters: make(map[string]*polledVoter)}
	p.ctx, p.end = context.WithCancel(context.Background())
	p.call = func(ctx context.Context, to peer.Target) (uint64, error) {
		b, err := port.Call(ctx, to, methodConfirm, nil)
		if err != nil {
			return 0, err
		}
		term, w := binary.Uvarint(b)
		if w <= 0 {
			return 0, malformed("term")
		}
		return term, nil
	}
	return p
}

// ask returns nil once a majority, of the voters and ourselves, is in a term that is not
// above ours.
func (p *termPoll) ask(voters []peer.Target, term uint64, timeout time.Duration) error {
	q := &termQuestion{term: term, timeout: timeout, answers: make(chan bool, len(voters))}
	for _, v := range voters {
		p.put(v, q)
	}
	need := (len(voters) + 1) / 2 // and this server, which votes
	timer := time.NewTimer(timeout)
	defer timer.Stop()
	for yes, no := 0, 0; yes < need; {
		select {
		case ok := <-q.answers:
			if ok {
				yes++
			} else {
				no++
			}
			if no > len(voters)-need {
				return fmt.Errorf("%w: a quorum does not confirm that this server leads", registry.ErrUnavailable)
			}
		case <-timer.C:
			return fmt.Errorf("%w: no quorum confirms within %v that this server leads", registry.ErrUnavailable, timeout)
		case <-p.ctx.Done():
			return registry.ErrStopped
		}
	}
	return nil
}

// put asks a voter now, or when it has answered the last question. A question that is
// overtaken is never answered by that voter.
func (p *termPoll) put(to peer.Target, q *termQuestion) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if v := p.voters[to.Node]; v != nil {
		v.next, v.at = q, to
		return
	}
	if p.ctx.Err() != nil {
		return
	}
	v := &polledVoter{at: to}
	p.voters[to.Node] = v
	p.wg.Go(func() { p.pollVoter(to, v, q) })
}

func (p *termPoll) pollVoter(to peer.Target, v *polledVoter, q *termQuestion) {
	for q != nil {
		ctx, cancel := context.WithTimeout(p.ctx, q.timeout)
		term, err := p.call(ctx, to)
		cancel()
		q.answers <- err == nil && term <= q.term
		p.mu.Lock()
		q, v.next, to = v.next, nil, v.at
		if q == nil {
			delete(p.voters, to.Node)
		}
		p.mu.Unlock()
	}
}

// close ends all questions and waits for whoever asks them.
func (p *termPoll) close() {
	p.mu.Lock()
	p.end()
	p.mu.Unlock()
	p.wg.Wait()
}
