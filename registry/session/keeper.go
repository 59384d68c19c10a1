package session

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"herald/registry"
	"herald/registry/catalog"
)

const (
	// lookAgain is how soon sessions that are to end are looked at again: while this server
	// does not lead, or could not end them.
	lookAgain = time.Second
	// endBatch is how many leases one command ends.
	endBatch = 1000
)

// Keeper ends the sessions whose node is gone, or of whose checks one is gone or critical.
// One runs on every server; that of the leader acts.
type Keeper struct {
	sessions *Sessions
	leads    func() bool
	log      *slog.Logger

	// nodes are the nodes that have sessions, by name; of says which a session is on. Both are
	// Run's goroutine's.
	nodes map[string]*keptNode
	of    map[ID]*keptNode
	wg    sync.WaitGroup
}

// keptNode is a node that has sessions. A goroutine of its own follows its checks.
type keptNode struct {
	name string
	end  context.CancelFunc

	mu       sync.Mutex
	sessions map[ID]*record
	look     context.CancelFunc // ends the wait for a change
}

// NewKeeper returns a keeper that acts while leads says so.
func NewKeeper(s *Sessions, leads func() bool, log *slog.Logger) *Keeper {
	return &Keeper{sessions: s, leads: leads, log: log, nodes: make(map[string]*keptNode), of: make(map[ID]*keptNode)}
}

// Run follows the sessions until ctx ends, or the store is closed. It returns nil.
func (k *Keeper) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer k.wg.Wait()
	defer cancel()
	for ctx.Err() == nil {
		err := k.follow(ctx)
		switch {
		case errors.Is(err, registry.ErrStopped), ctx.Err() != nil:
			return nil
		case errors.Is(err, registry.ErrCompacted), errors.Is(err, registry.ErrWatchReset):
		default:
			k.log.Warn("the sessions cannot be followed and are read again", "error", err)
			select {
			case <-time.After(lookAgain):
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// follow reads all sessions and keeps up with them until it cannot.
func (k *Keeper) follow(ctx context.Context) error {
	res, err := k.sessions.store.Range(ctx, registry.RangeRequest{
		Space: registry.SpaceSession, KeyRange: Keys(), SkipCount: true, Consistency: registry.Stale,
	})
	if err != nil {
		return err
	}
	there := make(map[ID]bool, len(res.KVs))
	for i := range res.KVs {
		there[ID(res.KVs[i].Key[len(sessionPrefix):])] = true
		k.put(ctx, &res.KVs[i])
	}
	for id := range k.of {
		if !there[id] {
			k.drop(id)
		}
	}
	w, err := k.sessions.store.Watch(ctx, registry.WatchRequest{Space: registry.SpaceSession, KeyRange: Keys(), StartRevision: res.Revision + 1})
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		commits, err := w.Next(ctx)
		if err != nil {
			return err
		}
		for i := range commits {
			for j := range commits[i].Events {
				switch e := &commits[i].Events[j]; e.Type {
				case registry.EventPut:
					k.put(ctx, &e.KV)
				case registry.EventDelete:
					k.drop(ID(e.KV.Key[len(sessionPrefix):]))
				}
			}
		}
	}
}

func (k *Keeper) put(ctx context.Context, kv *registry.KeyValue) {
	r, err := decode(kv)
	if err != nil {
		k.log.Warn("a session cannot be read; its checks are not looked after", "error", err)
		return
	}
	name := catalog.NodeTopic(r.Node).Name
	n := k.nodes[name]
	if n == nil {
		n = &keptNode{name: name, sessions: make(map[ID]*record), look: func() {}}
		var own context.Context
		own, n.end = context.WithCancel(ctx)
		k.nodes[name] = n
		k.wg.Go(func() { k.keep(own, n) })
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.sessions[r.ID] = r
	n.look()
	k.of[r.ID] = n
}

func (k *Keeper) drop(id ID) {
	n := k.of[id]
	if n == nil {
		return
	}
	delete(k.of, id)
	n.mu.Lock()
	delete(n.sessions, id)
	last := len(n.sessions) == 0
	n.mu.Unlock()
	if last {
		n.end()
		delete(k.nodes, n.name)
	}
}

// keep looks at a node's sessions whenever the node, its checks or its sessions change,
// until ctx ends.
func (k *Keeper) keep(ctx context.Context, n *keptNode) {
	topic := catalog.NodeTopic(n.name)
	for ctx.Err() == nil {
		wait, look := context.WithCancel(ctx)
		n.mu.Lock()
		n.look = look
		n.mu.Unlock()
		x := k.sessions.catalog.Index()
		var again *time.Timer
		if dead := n.dead(x); len(dead) > 0 {
			k.end(ctx, n)
			again = time.AfterFunc(lookAgain, look)
		}
		k.sessions.catalog.Wait(wait, topic, x.TopicRevision(topic))
		if again != nil {
			again.Stop()
		}
		look()
	}
}

// dead returns the leases of the sessions that are to end.
func (n *keptNode) dead(x *catalog.Index) (leases []registry.LeaseID) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for id, r := range n.sessions {
		if r.alive(x) != nil {
			lease, _ := id.Lease()
			leases = append(leases, lease)
		}
	}
	return leases
}

// end ends sessions that are dead as this server's catalog has it, if it leads and its
// catalog is up to date.
func (k *Keeper) end(ctx context.Context, n *keptNode) {
	if !k.leads() {
		return
	}
	x, err := k.sessions.freshCatalog(ctx)
	if err == nil {
		ctx := registry.WithCaller(ctx, registry.Caller{Identity: "session-keeper", Reason: registry.ReasonSessionEnd})
		for dead := n.dead(x); len(dead) > 0 && err == nil; {
			batch := dead[:min(len(dead), endBatch)]
			dead = dead[len(batch):]
			if _, err = k.sessions.store.RevokeLease(ctx, batch...); errors.Is(err, registry.ErrLeaseNotFound) {
				err = nil // gone before
			}
		}
	}
	if err != nil && ctx.Err() == nil {
		k.log.Warn("sessions whose checks failed live on for now", "node", n.name, "error", err)
	}
}
