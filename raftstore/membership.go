package raftstore

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"

	"herald/raftstore/peer"
	"herald/registry"
)

// membership is this server's place in a cluster: to find one or make one, to be taken in,
// and to tell it where this server is.
type membership struct {
	s    *Store
	book *peerBook
	// lookup resolves a host's name. It is nil where that is for the network to do.
	lookup func(ctx context.Context, host string) ([]string, error)

	// ctx ends with stop; wg are the goroutines that wait for raft.
	ctx    context.Context
	cancel context.CancelFunc
	wg     sync.WaitGroup
	kick   chan struct{} // one slot: look at once
	// changing is held, by one slot, while the leader changes the configuration.
	changing chan struct{}

	// foreign are the addresses that were found to lead to another cluster. Each is complained
	// of once.
	foreign map[string]bool
	// rumoured is where those who answered the last probe said that others are.
	rumoured []string

	// refusal is the last answer of a leader that does not want this server, given at refusedAt.
	refusal   error
	refusedAt time.Time
	// troubled is since when what is to be done next cannot be done for the moment; zero while it can.
	troubled time.Time

	mu sync.Mutex
	// wanted says that this server is to be taken in if the cluster does not have it.
	wanted bool
	said   string // the last that was logged of what it waits for
	held   string // what keeps it from that, once that has lasted
}

const (
	// lookAroundEvery is how often a server that has not found its place looks for it.
	lookAroundEvery = 500 * time.Millisecond
	// outOfTouchAfter is after how long without a leader a server asks whether it is part of the
	// cluster still.
	outOfTouchAfter = 10 * time.Second
	// troubledAfter is for how long something cannot be done for the moment before a person is told.
	troubledAfter = 10 * time.Second
	// refusedPause is how long a server that was refused waits before it asks again: the leader asks
	// every server of the cluster on its behalf, and it takes a person to change the answer.
	refusedPause = 5 * time.Second
	bookFile     = "peers.json"
)

func newMembership(s *Store, network peer.Network) *membership {
	m := &membership{
		s: s, book: openPeerBook(s.dir.raft(bookFile)),
		kick: make(chan struct{}, 1), changing: make(chan struct{}, 1),
		foreign: make(map[string]bool),
		wanted:  len(s.cfg.Join) > 0,
	}
	if network == nil {
		m.lookup = net.DefaultResolver.LookupHost
	}
	m.ctx, m.cancel = context.WithCancel(context.Background())
	return m
}

// wake makes the server look around at once.
func (m *membership) wake() {
	select {
	case m.kick <- struct{}{}:
	default:
	}
}

// run looks after this server's place until stop.
func (m *membership) run() {
	tick := time.NewTicker(lookAroundEvery)
	defer tick.Stop()
	for {
		m.look()
		if err := m.book.save(); err != nil {
			m.s.cfg.Log.Warn("cannot keep the address book", "file", m.book.file, "error", err)
		}
		select {
		case <-tick.C:
		case <-m.kick:
		case <-m.ctx.Done():
			return
		}
	}
}

// look does what is next.
func (m *membership) look() {
	c := m.s.dir.charter()
	var err error
	switch {
	case c.ClusterID == "":
		err = m.seek(c)
	case len(c.Founders) > 0:
		err = m.found(c)
	default:
		err = m.settle(c)
	}
	switch {
	case m.ctx.Err() != nil:
	case err == nil:
		m.untroubled()
	case passing(err):
		m.trouble(err)
	default:
		m.untroubled()
		m.say(err.Error())
	}
}

// passing reports whether an error says nothing of this server's place: there is no leader at
// the moment, it cannot answer yet, or its answer did not come. It will be asked again.
func passing(err error) bool {
	return errors.Is(err, registry.ErrUnavailable) || errors.Is(err, registry.ErrNoLeader) || errors.Is(err, registry.ErrTimeout)
}

// trouble notes an error that passes by itself, and says so when it has not for a while.
func (m *membership) trouble(err error) {
	if m.troubled.IsZero() {
		m.troubled = time.Now()
	}
	if time.Since(m.troubled) < troubledAfter {
		m.s.cfg.Log.Debug("this server's place is not settled yet", "error", err)
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.held == "" {
		m.s.cfg.Log.Warn("this server's place in the cluster is not settled, and it goes on trying", "error", err)
	}
	m.held = err.Error()
}

func (m *membership) untroubled() {
	m.troubled = time.Time{}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.held = ""
}

// say logs what this server waits for, when it changes.
func (m *membership) say(why string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if why != m.said {
		m.said = why
		if why != "" {
			m.s.cfg.Log.Info("this server has no place in a cluster yet", "why", why)
		}
	}
}

func (m *membership) want(wanted bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.wanted = wanted
}

func (m *membership) isWanted() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.wanted
}

// seek takes one step towards a cluster. c was read before anybody is asked: see outlook.
func (m *membership) seek(c charter) error {
	s := m.s
	o := outlook{me: s.describe()}
	o.me.Promise = c.Promise
	var alone bool
	o.others, alone = m.probe()
	if o.me.Expect == 1 && !alone {
		o.me.Expect = 0 // it has been told of others, and must not do without them
	}
	next := o.next()
	if next.adopt != "" && c.Promise == nil {
		err := m.enter(c, next.adopt, leaderAmong(o.others, next.adopt))
		if err != nil && passing(err) {
			m.say("asking to be let into cluster " + next.adopt)
		}
		return err
	}
	m.say(next.why)
	to := c
	switch {
	case next.adopt != "":
		to = charter{ClusterID: next.adopt}
		m.want(true) // others may have been chosen as founders
	case next.release:
		to.Promise = nil
	case next.begin:
		to.Promise = &promise{ClusterID: newUUID(), Coordinator: s.self(), Address: s.PeerAddress()}
	case len(next.founders) > 0:
		others := next.founders[1:] // this server is the first
		i := invitation{promise: *c.Promise, Expect: o.me.Expect}
		i.Address = s.PeerAddress()
		if err := s.invite(m.ctx, others, i); err != nil {
			return fmt.Errorf("making a cluster: %w", err)
		}
		to = charter{ClusterID: i.ClusterID}
		for _, f := range next.founders {
			to.Founders = append(to.Founders, founder{f.ID, f.Address})
		}
	default:
		return nil
	}
	done, err := s.dir.recharter(c, to)
	if err == nil && done {
		s.cfg.Log.Debug("membership", "cluster", to.ClusterID, "promise", to.Promise, "founders", to.Founders)
		m.wake()
	}
	return err
}

// enter has the leader of a cluster take this server in, and then becomes part of the cluster. In
// this order: before it has been asked, the leader cannot say that a server of this id votes in
// the cluster already. Such a server has lost its data, and what it voted for with it.
func (m *membership) enter(c charter, cluster string, leader peer.Target) error {
	if leader.Node == "" {
		return fmt.Errorf("%w: found cluster %s", registry.ErrNoLeader, cluster)
	}
	if err := m.askIn(leader, true); err != nil {
		return err
	}
	if _, err := m.s.dir.recharter(c, charter{ClusterID: cluster}); err != nil {
		return err
	}
	m.want(false)
	m.wake()
	return nil
}

// askIn asks the leader, unless it has just refused.
func (m *membership) askIn(leader peer.Target, join bool) error {
	if m.refusal != nil && time.Since(m.refusedAt) < refusedPause {
		return m.refusal
	}
	m.refusal = nil
	err := m.s.askIn(m.ctx, leader, join)
	if join && errors.Is(err, registry.ErrMembership) {
		m.refusal, m.refusedAt = err, time.Now()
	}
	return err
}

// found carries out the decision to make a cluster. The others are told first: raft's
// streams need the cluster's id at both ends.
func (m *membership) found(c charter) error {
	s := m.s
	var others []description
	for _, f := range c.Founders {
		if f.ID != s.self() {
			others = append(others, description{ID: f.ID, Address: f.Address})
		}
	}
	i := invitation{promise{c.ClusterID, s.self(), s.PeerAddress()}, len(c.Founders), true}
	if err := s.invite(m.ctx, others, i); err != nil {
		s.cfg.Log.Debug("they will find out by themselves", "error", err)
	}
	return s.bootstrapLive(c)
}

// settle sees to it that the cluster has this server, at the address where it is.
func (m *membership) settle(c charter) error {
	s := m.s
	me, in := s.configured(s.self())
	in = in && string(me.Address) == s.PeerAddress()
	known := s.known.Load()
	wanted := m.isWanted()
	switch {
	case known.id == s.self(), in && known.id != "" && !wanted:
		// A leader speaks only to those who are part of the cluster. But one that is being taken
		// in may be so by an entry that is not committed, and never will be: the leader has to
		// say so.
		m.want(false)
		m.say("")
		if c.Left {
			back := c
			back.Left = false
			_, err := s.dir.recharter(c, back)
			return err
		}
		return nil
	case c.Left && !wanted:
		m.say(fmt.Sprintf("it is not part of cluster %s any more, which it left or was removed from: `herald join` takes it back, as does a start with addresses to join (join)", c.ClusterID))
		return nil
	}
	leader := s.target(known.id, known.address)
	if known.id == "" {
		// Whoever answers also says where it is, if that has changed.
		others, _ := m.probe()
		leader = leaderAmong(others, c.ClusterID)
		if in && !wanted && time.Since(known.since) < outOfTouchAfter {
			return nil // an election
		}
	}
	if leader.Node == "" || leader.Node == s.self() {
		if c.Left {
			m.say("waiting to be let back into cluster " + c.ClusterID + ": no server that answers knows who leads it")
		}
		return nil
	}
	err := m.askIn(leader, wanted)
	switch {
	case err == nil:
		m.want(false)
	case errors.Is(err, registry.ErrMemberNotFound):
		return m.out(c)
	case wanted && !c.Left && errors.Is(err, registry.ErrMembership) && errors.Is(s.askIn(m.ctx, leader, false), registry.ErrMemberNotFound):
		// It is out, and not let in again. It goes on asking.
		return errors.Join(err, m.out(c))
	}
	return err
}

// out records that the cluster does not have this server any more.
func (m *membership) out(c charter) error {
	left := c
	left.Left = true
	m.s.cfg.Log.Warn("this server is not part of its cluster any more", "cluster", c.ClusterID)
	_, err := m.s.dir.recharter(c, left)
	return err
}

// leaderAmong is the leader of a cluster that these know of, in the latest term.
func leaderAmong(others []description, cluster string) peer.Target {
	var leader peer.Target
	term := uint64(0)
	for _, d := range others {
		if d.Cluster == cluster && d.Leader != "" && d.LeaderAddress != "" && d.Term >= term {
			leader, term = peer.Target{Node: d.Leader, Address: d.LeaderAddress}, d.Term
		}
	}
	return leader
}

// probe asks everybody who may be there: at the addresses to join, and those that this server has
// heard of. alone says that there are none, or that this server itself is at all of them.
func (m *membership) probe() (others []description, alone bool) {
	s := m.s
	ctx, cancel := context.WithTimeout(m.ctx, time.Second)
	defer cancel()
	own := m.expand(ctx, s.cfg.Join)
	addresses := append(own, m.book.addresses()...)
	addresses = append(addresses, m.rumoured...)
	for _, srv := range s.raft.GetConfiguration().Configuration().Servers {
		addresses = append(addresses, string(srv.Address))
	}
	slices.Sort(addresses)
	addresses = slices.DeleteFunc(slices.Compact(addresses), isDisplaced)

	var mu sync.Mutex
	var wg sync.WaitGroup
	alone = true
	for _, a := range addresses {
		wg.Go(func() {
			d, err := s.askDescription(ctx, peer.Target{Address: a})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil:
				alone = false
				if errors.Is(err, registry.ErrForeignCluster) && !m.foreign[a] {
					m.foreign[a] = true
					s.cfg.Log.Warn("another cluster is at an address to join", "address", a, "error", err)
				}
			case d.ID == s.self():
			case !slices.ContainsFunc(others, func(o description) bool { return o.ID == d.ID }):
				alone = false
				others = append(others, d)
			}
		})
	}
	wg.Wait()
	m.rumoured = nil
	for _, d := range others {
		m.rumoured = append(m.rumoured, d.Knows...)
	}
	return others, alone
}

// expand resolves names that stand for several servers, each time anew. One that stands for a single
// address stays as it is, and one that cannot be resolved is for the dial to complain about.
func (m *membership) expand(ctx context.Context, addresses []string) []string {
	if m.lookup == nil {
		return slices.Clone(addresses)
	}
	found := make([][]string, len(addresses))
	var wg sync.WaitGroup
	for i, a := range addresses {
		found[i] = []string{a}
		host, port, err := net.SplitHostPort(a)
		if err != nil || net.ParseIP(host) != nil {
			continue
		}
		wg.Go(func() {
			ips, err := m.lookup(ctx, host)
			if err != nil || len(ips) < 2 {
				return
			}
			found[i] = nil
			for _, ip := range ips {
				found[i] = append(found[i], net.JoinHostPort(ip, port))
			}
		})
	}
	wg.Wait()
	return slices.Concat(found...)
}

// stop ends run and what it waits for. What waits for raft ends with raft: see wait.
func (m *membership) stop() { m.cancel() }

// wait returns when every goroutine has ended, after raft was shut down.
func (m *membership) wait() { m.wg.Wait() }
