package raftstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
	"herald/registry"
	"herald/registry/mvcc"
	"herald/registry/watch"
)

// Store is one server's part of the replicated store. It implements
// registry.Store, registry.Cluster and registry.Operator.
type Store struct {
	cfg       Config
	dir       *dataDir
	stores    stores
	log       *guardedLog
	snapshots raft.SnapshotStore
	port      *peer.Port
	transport *transport
	machine   *machine
	raft      *raft.Raft
	proposer  *proposer // of the commands that this server takes as the leader
	forward   *proposer // of those that it passes on
	forwarder *forwarder
	renewals  *renewals // of the leases of this server's clients, as a follower
	clock     *leaseClock
	// decisions is a lock, of one slot: held while the leader carries out what it decided about
	// leases, and while a restore replaces them. A lease must not end by a decision about
	// what it was before.
	decisions chan struct{}
	restores  chan *restoreJob
	// pieceBytes is restorePieceBytes, but for tests of many pieces.
	pieceBytes int
	members    *membership
	fresh      bool // nothing had ever happened in the data directory when it was opened
	started    time.Time

	known         atomic.Pointer[knownLeader]
	poll          *termPoll
	confirmations *shared[confirmation]
	remoteReads   *shared[uint64]
	acknowledged  acknowledged
	notices       commitNotices
	published     chan struct{} // machine.published

	// yielded is set while this server leaves leadership to others: see watchAppends.
	yielded      atomic.Bool
	yieldChanged chan struct{} // one slot
	freeSpace    func(path string) (int64, error)

	// readyTerm is the last term in which this server, as leader, has applied all
	// that was committed before.
	readyTerm atomic.Uint64
	// freshAt is when the state last contained all that was acknowledged, as time since
	// started; 0 if it never has.
	freshAt   atomic.Int64
	ready     chan struct{}
	readyOnce sync.Once

	crowded    chan struct{} // one slot: memory is about to be used up, see relieve
	logGrew    chan struct{} // one slot: the log is due for a snapshot
	snapshotAt atomic.Int64  // guardedLog.bytes at the last one

	closing   chan struct{} // no new calls; loops end
	closeOnce sync.Once
	loops     sync.WaitGroup
	torn      chan struct{} // everything is released
	tornErr   error

	done     chan struct{}
	doneOnce sync.Once
	failed   chan struct{}
	failOnce sync.Once
	err      atomic.Pointer[error]
}

var (
	_ registry.Store    = (*Store)(nil)
	_ registry.Cluster  = (*Store)(nil)
	_ registry.Operator = (*Store)(nil)
	_ registry.Sweeper  = (*Store)(nil)
)

// hubConfig takes watch's defaults.
var hubConfig watch.Config

// options replace what tests cannot use for real.
type options struct {
	network peer.Network  // instead of TCP
	servers []raft.Server // of a new cluster, instead of this one alone
	cluster string        // its id
	log     func(raft.LogStore) raft.LogStore
	space   func(path string) (int64, error)
	piece   int // Store.pieceBytes
}

// Open starts a server on its data directory. It returns before there is a leader;
// see WaitReady.
//
// A directory that is refused for whose it is, or for its own format
// (registry.ErrDataDirLocked, ErrDataDirOwner, ErrFormat, ErrCorrupt), is left as it was. One
// whose log or snapshots are refused (ErrFormat, ErrCorrupt) keeps all that was ever
// acknowledged: by then a record that a crash cut short may have been dropped
// from the end of the log, and if the snapshots as a whole were found sound, unfinished ones
// were removed and a corrupt one, which the log makes up for, was moved aside.
func Open(cfg Config) (*Store, error) { return open(cfg, options{}) }

func open(cfg Config, o options) (_ *Store, err error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Store{
		cfg:     cfg,
		started: time.Now(),
		clock:   newLeaseClock(cfg.Leases),
		ready:   make(chan struct{}),
		crowded: make(chan struct{}, 1),
		logGrew: make(chan struct{}, 1),
		closing: make(chan struct{}),
		torn:    make(chan struct{}),
		done:    make(chan struct{}),
		failed:  make(chan struct{}),
		notices: commitNotices{wake: make(chan struct{}, 1)},

		decisions: make(chan struct{}, 1),
		restores:  make(chan *restoreJob),

		pieceBytes: restorePieceBytes,

		yieldChanged: make(chan struct{}, 1),
		freeSpace:    freeSpace,
	}
	if o.space != nil {
		s.freeSpace = o.space
	}
	if o.piece != 0 {
		s.pieceBytes = o.piece
	}
	s.setKnown("", "")
	// What is open is closed in reverse if a later step fails.
	var undo []func() error
	defer func() {
		if err == nil {
			return
		}
		for i := len(undo) - 1; i >= 0; i-- {
			err = errors.Join(err, undo[i]())
		}
	}()

	if s.dir, err = openDataDir(&cfg); err != nil {
		return nil, err
	}
	undo = append(undo, s.dir.close)
	if err := s.dir.emptyTemp(); err != nil {
		return nil, err
	}
	if s.stores, err = openStores(s.dir, &cfg); err != nil {
		return nil, err
	}
	undo = append(undo, s.stores.close)
	s.stores.log = stallable(s.stores.log)
	if o.log != nil {
		s.stores.log = o.log(s.stores.log)
	}
	if err := recoverSnapshots(s.dir, s.stores.log, cfg.Log); err != nil {
		return nil, err
	}
	if err := checkTerm(s.dir, &s.stores); err != nil {
		return nil, err
	}
	// Made here because raft would make it readable by all.
	if err := makeDir(s.dir.raft(snapshotsDir)); err != nil {
		return nil, err
	}
	if s.snapshots, err = raft.NewFileSnapshotStoreWithLogger(s.dir.raft(), keepSnapshots, newRaftLog(cfg.Log, "snapshot")); err != nil {
		return nil, fmt.Errorf("snapshots in %s: %w", s.dir.raft(snapshotsDir), err)
	}

	if s.fresh, err = s.isFresh(); err != nil {
		return nil, err
	}
	s.members = newMembership(s, o.network)

	if s.port, err = peer.Listen(s.peerConfig(o.network)); err != nil {
		return nil, err
	}
	undo = append(undo, s.port.Close)
	s.transport = newTransport(s.port, s.addressOf, s.outside, &cfg)
	undo = append(undo, s.transport.Close)

	s.machine = newMachine(hubConfig)
	undo = append(undo, func() error { s.machine.dropRestore(); s.machine.hub.Close(); return nil })
	s.machine.dir = s.dir.path
	s.machine.fail = s.fail
	s.machine.leases = s.clock.apply
	s.machine.restored = s.noteRestored
	s.machine.closing = s.closing
	s.machine.applied = cfg.Hooks.Applied
	s.machine.snapshotted = cfg.Hooks.Snapshot
	s.published = s.machine.published
	s.log = &guardedLog{
		LogStore: s.stores.log,
		epoch:    s.started,
		keepFrom: s.oldestNeeded,
		failed:   s.fail,
		appended: s.noteAppend,
		grew:     s.noteLogGrowth,
	}

	rc := s.raftConfig()
	if err := s.foundAlone(o); err != nil {
		return nil, err
	}
	if err := s.bootstrap(); err != nil {
		return nil, err
	}
	if err := s.log.load(); err != nil {
		return nil, err
	}
	cache, err := raft.NewLogCache(cachedEntries, s.log)
	if err != nil {
		return nil, err
	}
	if s.raft, err = raft.NewRaft(rc, s.machine, cache, s.stores.stable, s.snapshots, s.transport); err != nil {
		return nil, s.explainStart(err)
	}
	s.members.book.raft.Store(s.raft)
	s.transport.attend(s.raft)
	s.machine.starting.Store(false)
	s.proposer = newProposer(s.raft, s.machine, cfg.ProposeTimeout, &s.cfg.Hooks, s.notLeader, s.admitCommand)
	s.forward, s.forwarder = newForward(s)
	s.renewals = newRenewals(s)
	s.poll = newTermPoll(s.port)
	s.confirmations = newShared(s.confirm)
	s.remoteReads = newShared(s.askReadIndex)
	s.handleCalls()
	s.port.Serve()
	s.proposer.start()
	s.forward.start()
	s.loops.Go(s.followLeadership)
	s.loops.Go(s.members.run)
	s.loops.Go(s.trackLeader)
	s.loops.Go(func() { s.confirmations.run(s.closing) })
	s.loops.Go(func() { s.remoteReads.run(s.closing) })
	s.loops.Go(s.freshen)
	s.loops.Go(s.followCommits)
	s.loops.Go(s.watchAppends)
	s.loops.Go(s.watchSpace)
	s.loops.Go(s.snapshotByBytes)
	s.loops.Go(s.restoreLoop)
	go s.supervise()
	s.hurryElection(rc)
	return s, nil
}

func (s *Store) raftConfig() *raft.Config {
	rc := raft.DefaultConfig()
	rc.LocalID = raft.ServerID(s.dir.id.NodeID)
	rc.HeartbeatTimeout = s.cfg.HeartbeatTimeout
	rc.ElectionTimeout = s.cfg.ElectionTimeout
	rc.LeaderLeaseTimeout = s.cfg.LeaderLeaseTimeout
	rc.SnapshotInterval = s.cfg.SnapshotInterval
	rc.SnapshotThreshold = s.cfg.SnapshotEntries
	rc.TrailingLogs = s.cfg.TrailingEntries
	// A server that is removed stays, as one that has no vote, until it is told to go.
	rc.ShutdownOnRemove = false
	rc.NoLegacyTelemetry = true
	rc.Logger = newRaftLog(s.cfg.Log, "raft")
	return rc
}

// oldestNeeded is the lowest index that the log has to keep: the one after the
// older of the two snapshots, or 0, all of them, while there is one or none.
func (s *Store) oldestNeeded() (uint64, error) {
	metas, err := s.snapshots.List()
	if err != nil || len(metas) < keepSnapshots {
		return 0, err
	}
	return metas[keepSnapshots-1].Index + 1, nil
}

// explainStart says why raft could not start; the machine knows better when it was a
// snapshot's content.
func (s *Store) explainStart(err error) error {
	if s.machine.halted != nil {
		err = s.machine.halted
	}
	return fmt.Errorf("start from %s: %w", s.dir.path, err)
}

// hurryElection makes a lone voter stand for election at once. It has nobody to hear
// from, so the time that a follower waits for its leader would only be lost.
// Lowering the timeout makes raft look at it again, now; it is then put back.
func (s *Store) hurryElection(rc *raft.Config) {
	servers := s.raft.GetConfiguration().Configuration().Servers
	if len(servers) != 1 || servers[0].ID != rc.LocalID || servers[0].Suffrage != raft.Voter {
		return
	}
	usual := s.raft.ReloadableConfig()
	if usual.HeartbeatTimeout-time.Millisecond < rc.LeaderLeaseTimeout {
		return
	}
	hurried := usual
	hurried.HeartbeatTimeout -= time.Millisecond
	if err := s.raft.ReloadConfig(hurried); err != nil {
		return
	}
	_ = s.raft.ReloadConfig(usual)
}

// cachedEntries is how many of the newest entries are kept in memory, so that followers
// that keep up are not served from the disk. An entry may hold a megabyte.
const cachedEntries = 32

// peerConfig is how the peer port is opened.
func (s *Store) peerConfig(n peer.Network) peer.Config {
	return peer.Config{
		Address:     s.cfg.PeerAddress,
		Advertise:   s.cfg.AdvertiseAddress,
		Network:     n,
		Self:        s.identity,
		EncodeError: encodeError,
		DecodeError: decodeError,
		Log:         s.cfg.Log,
	}
}

// noteAppend is called after every append, by raft.
func (s *Store) noteAppend(entries int, took time.Duration) {
	if s.cfg.Hooks.Appended != nil {
		s.cfg.Hooks.Appended(entries, took)
	}
	s.notices.signal()
}

// MaxRequestBytes is how large a write may be, in bytes of its encoding without its origin.
func (s *Store) MaxRequestBytes() int { return s.cfg.MaxRequestBytes }

// PeerAddress is where other servers reach this one, with the port that was bound.
func (s *Store) PeerAddress() string { return string(s.transport.LocalAddr()) }

// Done is closed when the store has stopped: after Close, or because something
// went wrong that it cannot go on from, which Err then says.
func (s *Store) Done() <-chan struct{} { return s.done }

// Err is why the store stopped by itself, or nil. After such an error nothing more is
// applied or acknowledged; the process should Close the store and end.
func (s *Store) Err() error {
	if p := s.err.Load(); p != nil {
		return *p
	}
	return nil
}

// fail stops the store for good. It may be called from raft's own goroutines: it
// does not wait.
func (s *Store) fail(err error) {
	s.failOnce.Do(func() {
		s.err.Store(&err)
		s.cfg.Log.Error("store stopped", "error", err)
		close(s.failed)
	})
}

// open is nil while the store takes calls.
func (s *Store) open() error {
	if err := s.Err(); err != nil {
		return fmt.Errorf("%w: %w", registry.ErrStopped, err)
	}
	select {
	case <-s.closing:
		return registry.ErrStopped
	default:
		return nil
	}
}

// enter is nil if a call may begin: the store is open and ctx has not ended.
func (s *Store) enter(ctx context.Context) error {
	if err := s.open(); err != nil {
		return err
	}
	return ctx.Err()
}

// outside reports whether this server is not part of its cluster any more: it left, or found
// out that it was removed.
func (s *Store) outside() bool {
	c := s.dir.charter()
	return c.Left
}

// enterStale is enter for a read of the state as it is. That of a server that is outside will
// never be any newer, and is no member's.
func (s *Store) enterStale(ctx context.Context) error {
	if s.outside() {
		return fmt.Errorf("%w: this server is not part of its cluster any more", registry.ErrNoLeader)
	}
	return s.enter(ctx)
}

// origin is who makes the calls of ctx, now.
func origin(ctx context.Context) registry.Origin {
	c := registry.CallerFrom(ctx)
	return registry.Origin{Who: c.Identity, Why: c.Reason, When: now()}
}

func (s *Store) propose(ctx context.Context, c *mvcc.Command) (mvcc.Result, error) {
	if err := c.Validate(); err != nil {
		return mvcc.Result{}, err
	}
	return ask(ctx, s, func(ctx context.Context, l leader) (mvcc.Result, error) { return l.propose(ctx, c) })
}

// Range implements registry.Store.
func (s *Store) Range(ctx context.Context, r registry.RangeRequest) (registry.RangeResult, error) {
	if r.Consistency == registry.Stale {
		if err := s.enterStale(ctx); err != nil {
			return registry.RangeResult{}, err
		}
		age := s.age() // before the read: what comes in between only makes it fresher
		res, err := s.machine.View().Range(r)
		res.Age = age
		return res, err
	}
	v, err := s.linearView(ctx)
	if err != nil {
		return registry.RangeResult{}, err
	}
	return v.Range(r)
}

// Txn implements registry.Store.
func (s *Store) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if !t.Writes() {
		if t.Freshness() == registry.Stale {
			if err := s.enterStale(ctx); err != nil {
				return registry.TxnResult{}, err
			}
			return s.machine.View().ReadTxn(t)
		}
		v, err := s.linearView(ctx)
		if err != nil {
			return registry.TxnResult{}, err
		}
		return v.ReadTxn(t)
	}
	if err := s.enter(ctx); err != nil {
		return registry.TxnResult{}, err
	}
	if err := s.admit(&t); err != nil {
		return registry.TxnResult{}, err
	}
	res, err := s.propose(ctx, &mvcc.Command{Origin: origin(ctx), Txn: &t})
	if err != nil {
		return registry.TxnResult{}, err
	}
	return *res.Txn, nil
}

// Compact implements registry.Store.
func (s *Store) Compact(ctx context.Context, space registry.Space, rev int64) error {
	if err := s.enter(ctx); err != nil {
		return err
	}
	_, err := s.propose(ctx, &mvcc.Command{Origin: origin(ctx), Compact: &mvcc.Compact{Space: space, Revision: rev}})
	return err
}
