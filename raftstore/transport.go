package raftstore

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/raft"

	"herald/raftstore/peer"
)

// transport is raft's transport over the peer port. By embedding raft's own it keeps
// pre-vote, which a wrapper that hid that method would turn off.
//
// It adds four things. A muted transport replicates nothing and sends no heartbeats: so a
// leader whose disk hangs is replaced (see watchdog). Requests can be handed to this
// server's own raft, as if its leader had sent them (see commitNotices). Heartbeats
// change raft on its main goroutine alone (see SetHeartbeatHandler). And a server that knows that
// it is not part of the cluster asks nobody for a vote: its raft has a configuration that says
// otherwise, and would stand for election every few seconds for as long as it runs.
type transport struct {
	*raft.NetworkTransport
	muted   atomic.Bool
	outside func() bool // this server is not part of the cluster any more
	timeout time.Duration

	raft     atomic.Pointer[raftState] // raft, once it runs
	patience time.Duration             // how long a heartbeat waits for raft before others answer for it

	requests chan raft.RPC // raft's and ours
	done     chan struct{}
	stop     sync.Once
	wg       sync.WaitGroup
}

var (
	_ raft.Transport   = (*transport)(nil)
	_ raft.WithPreVote = (*transport)(nil)
)

// newTransport is closed by Close, after raft was shut down.
func newTransport(p *peer.Port, addressOf func(raft.ServerID) (raft.ServerAddress, bool), outside func() bool, cfg *Config) *transport {
	t := &transport{
		NetworkTransport: raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
			ServerAddressProvider:   addressBook(addressOf),
			Stream:                  raftStreams{p.Raft()},
			MaxPool:                 3,
			Timeout:                 cfg.PeerTimeout,
			Logger:                  newRaftLog(cfg.Log, "transport"),
			MsgpackUseNewTimeFormat: true,
		}),
		outside:  outside,
		timeout:  cfg.PeerTimeout,
		patience: cfg.LeaderLeaseTimeout / 5,
		requests: make(chan raft.RPC),
		done:     make(chan struct{}),
	}
	t.wg.Go(t.merge)
	return t
}

// merge passes on what the network brings. It ends with Close.
func (t *transport) merge() {
	in := t.NetworkTransport.Consumer()
	for {
		select {
		case r := <-in:
			select {
			case t.requests <- r:
			case <-t.done:
				return
			}
		case <-t.done:
			return
		}
	}
}

// Consumer is where raft takes requests from.
func (t *transport) Consumer() <-chan raft.RPC { return t.requests }

// inject hands raft a request and returns when it was answered, or the transport
// closed.
func (t *transport) inject(command any) {
	answer := make(chan raft.RPCResponse, 1)
	select {
	case t.requests <- raft.RPC{Command: command, RespChan: answer}:
	case <-t.done:
		return
	}
	select {
	case <-answer:
	case <-t.done:
	}
}

// Close stops the transport.
func (t *transport) Close() error {
	t.stop.Do(func() { close(t.done) })
	err := t.NetworkTransport.Close()
	t.CloseStreams()
	t.wg.Wait()
	return err
}

var errMuted = errors.New("this server's disk does not answer: it has given up leadership")

// AppendEntries sends entries or a heartbeat.
func (t *transport) AppendEntries(id raft.ServerID, to raft.ServerAddress, args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) error {
	if t.muted.Load() {
		return errMuted
	}
	return t.NetworkTransport.AppendEntries(id, to, args, resp)
}

// RequestPreVote asks whether there is a vote to be had. One that is outside has none to hope for.
func (t *transport) RequestPreVote(id raft.ServerID, to raft.ServerAddress, args *raft.RequestPreVoteRequest, resp *raft.RequestPreVoteResponse) error {
	if t.outside() {
		*resp = raft.RequestPreVoteResponse{RPCHeader: args.RPCHeader, Term: args.Term - 1}
		return nil
	}
	return t.NetworkTransport.RequestPreVote(id, to, args, resp)
}

// RequestVote asks for a vote.
func (t *transport) RequestVote(id raft.ServerID, to raft.ServerAddress, args *raft.RequestVoteRequest, resp *raft.RequestVoteResponse) error {
	if t.outside() {
		*resp = raft.RequestVoteResponse{RPCHeader: args.RPCHeader, Term: args.Term}
		return nil
	}
	return t.NetworkTransport.RequestVote(id, to, args, resp)
}

// AppendEntriesPipeline sends entries without waiting for the answer to the last.
func (t *transport) AppendEntriesPipeline(id raft.ServerID, to raft.ServerAddress) (raft.AppendPipeline, error) {
	if t.muted.Load() {
		return nil, errMuted
	}
	p, err := t.NetworkTransport.AppendEntriesPipeline(id, to)
	if err != nil {
		return nil, err
	}
	return mutablePipeline{p, t}, nil
}

// InstallSnapshot sends a snapshot. A follower takes that for a word of its leader, too.
func (t *transport) InstallSnapshot(id raft.ServerID, to raft.ServerAddress, args *raft.InstallSnapshotRequest, resp *raft.InstallSnapshotResponse, data io.Reader) error {
	if t.muted.Load() {
		return errMuted
	}
	return t.NetworkTransport.InstallSnapshot(id, to, args, resp, data)
}

type mutablePipeline struct {
	raft.AppendPipeline
	t *transport
}

func (p mutablePipeline) AppendEntries(args *raft.AppendEntriesRequest, resp *raft.AppendEntriesResponse) (raft.AppendFuture, error) {
	if p.t.muted.Load() {
		return nil, errMuted
	}
	// Raft's waits for its turn, also when nobody will give it any more: after a response that
	// failed, whoever takes responses is gone, and what is behind it stays where it is.
	// The goroutine would be stuck, and with it raft's shutdown. To close the pipeline ends that.
	defer time.AfterFunc(p.t.timeout, func() { p.AppendPipeline.Close() }).Stop()
	return p.AppendPipeline.AppendEntries(args, resp)
}

// EncodePeer writes this server's address. Raft's own would look it up in the
// address book, which is for dialling others.
func (t *transport) EncodePeer(_ raft.ServerID, a raft.ServerAddress) []byte { return []byte(a) }

// addressBook gives raft the address to dial for a server, with its id before it:
// raft's streams are dialled by address alone, and who answers there has to be
// the server that is meant, not another that has its address now.
type addressBook func(raft.ServerID) (raft.ServerAddress, bool)

// ServerAddr implements raft.ServerAddressProvider.
func (b addressBook) ServerAddr(id raft.ServerID) (raft.ServerAddress, error) {
	a, ok := b(id)
	if !ok {
		return "", fmt.Errorf("no address is known of server %s", id)
	}
	return raft.ServerAddress(id) + "@" + a, nil
}

// dialTarget takes apart what ServerAddr made. An address without an id is
// dialled for whoever is there.
func dialTarget(a raft.ServerAddress) peer.Target {
	if i := strings.LastIndexByte(string(a), '@'); i >= 0 {
		return peer.Target{Node: string(a[:i]), Address: string(a[i+1:])}
	}
	return peer.Target{Address: string(a)}
}

// raftStreams is the peer port's raft streams as raft wants them.
type raftStreams struct{ *peer.RaftStreams }

var _ raft.StreamLayer = raftStreams{}

// Dial opens a connection that speaks raft.
func (r raftStreams) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	return r.RaftStreams.Dial(dialTarget(to), timeout)
}
