// Package raftstore is the registry.Store that is replicated by raft: one server's part
// of it. It owns the data directory, the raft log, snapshots, the peer port,
// who leads, and when leases end. What a command means is mvcc's; how changes reach
// watchers is watch's; it knows no protocol but the one between servers, and
// exports no type of hashicorp/raft. See DESIGN.md.
//
// Goroutines, each with who starts it and waits for it, and what it owns:
//
//   - proposer.gather, proposer.complete: open, stopped by tearDown. The queue of
//     proposals and the entries on their way through raft.
//   - Store.followLeadership: open, by Store.loops. Input: raft's leadership changes.
//     It begins and ends tenures, one at a time.
//   - tenure.run, then tickLoop, expireLoop, checkpointLoop, compactLoop, correctAddress:
//     by the tenure, which ends when leadership does. tickLoop owns the advance of the lease
//     clock; the others propose what they find due.
//   - verifier.run: open, by Store.loops. Input: those who wait for leadership to be confirmed.
//   - Store.snapshotByBytes: open, by Store.loops. Input: the growth of the log.
//   - Store.supervise: open; it waits for the end of the store, its closing or its failure,
//     and takes everything down. Close waits for it.
//   - peerPort.run and one peerPort.route for each connection that has not said what it
//     speaks: listenPeers, by peerPort.Close.
//   - raft's own (main loop, state machine, snapshots, one or more for each peer) and its
//     transport's: raft.NewRaft, by raft's Shutdown. The state machine's calls
//     ApplyBatch, Snapshot and Restore, and owns machine.state.
//   - the hub's: watch.NewHub, by Hub.Close.
package raftstore
