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
//   - the forward proposer's, and one forwarder.Apply for each entry on its way to the
//     leader: open, stopped by tearDown.
//   - Store.followLeadership: open, by Store.loops. Input: raft's leadership changes.
//     It begins and ends tenures, one at a time.
//   - tenure.run, then tickLoop, expireLoop, checkpointLoop, compactLoop, noticeCommits,
//     tend: by the tenure, which ends when leadership does. tickLoop owns the advance
//     of the lease clock, noticeCommits what the followers were told; the others propose
//     what they find due.
//   - Store.trackLeader: open, by Store.loops. It owns who is known to lead.
//   - shared.run, twice, for confirmations and remoteReads: open, by Store.loops. Input: those
//     who wait for leadership to be confirmed, or for the leader's read index.
//   - termPoll.pollVoter, one for each voter that has been asked and has not answered:
//     termPoll.put, by termPoll.close.
//   - Store.freshen: open, by Store.loops. It owns when the state was last up to date.
//   - Store.followCommits: open, by Store.loops. Input: notices of the leader, and appends.
//   - Store.watchAppends: open, by Store.loops. It owns whether this server has yielded.
//   - Store.watchSpace: open, by Store.loops. It owns whether this server's disk is full.
//   - Store.snapshotByBytes: open, by Store.loops. Input: the growth of the log.
//   - membership.run: open, by Store.loops. It owns the steps towards a cluster, and what this
//     server hears from others meanwhile. The charter is changed by handlers too: see recharter.
//   - membership.await's, one for each change of the configuration that raft carries out: the
//     leader, by membership.wait once raft is shut down.
//   - localLeader.handOn's, for one handing on of leadership: nobody waits for it, since raft
//     may leave it unanswered when it is shut down.
//   - Store.restoreLoop: open, by Store.loops. Input: archives to bring into the log.
//   - beginRestore's, which builds the state of a restore from its pieces: the machine, which
//     waits for it when the restore ends or is dropped, at last by tearDown.
//   - Store.supervise: open; it waits for the end of the store, its closing or its failure,
//     and takes everything down. Close waits for it.
//   - transport.merge: newTransport, by transport.Close.
//   - the peer port's, and the handlers of calls: peer.Listen, by Port.Close.
//   - raft's own (main loop, state machine, snapshots, one or more for each peer) and its
//     transport's: raft.NewRaft, by raft's Shutdown. The state machine's calls
//     ApplyBatch, Snapshot and Restore, and owns machine.state.
//   - the hub's: watch.NewHub, by Hub.Close.
package raftstore
