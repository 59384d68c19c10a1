package raftstore

import (
	"context"
	"errors"
)

// supervise takes everything down, once the store is closed or has failed.
func (s *Store) supervise() {
	select {
	case <-s.failed:
		// Known at once, also if taking down hangs on a broken disk.
		s.doneOnce.Do(func() { close(s.done) })
		s.closeOnce.Do(func() { close(s.closing) })
	case <-s.closing:
	}
	s.tornErr = s.tearDown()
	s.doneOnce.Do(func() { close(s.done) })
	close(s.torn)
}

// tearDown stops everything in the order in which it depends on each other: who asks
// raft for something before raft, since raft does not answer what it holds when
// it is shut down; raft before what it writes to.
func (s *Store) tearDown() error {
	s.renewals.stop()
	s.forwarder.stop(s.forward)
	s.proposer.stop()
	if s.Err() == nil {
		ctx, cancel := context.WithTimeout(context.Background(), handOverTimeout)
		s.handOver(ctx)
		cancel()
	}
	s.poll.close()
	s.members.stop()
	s.loops.Wait()
	errs := []error{s.raft.Shutdown().Error(), s.transport.Close(), s.port.Close()}
	s.members.wait()
	s.machine.dropRestore()
	s.machine.hub.Close()
	errs = append(errs, s.stores.close(), s.dir.close())
	return errors.Join(errs...)
}

// Close stops the store: what is on its way into the log is finished, everything
// else fails with registry.ErrStopped. It waits for every goroutine, and may be called
// more than once.
//
// It has no bound: while a write to the disk hangs, it waits for it. To go on without it would
// release the directory's lock while that write may still land, under whoever opens the
// directory next. A process that must end sooner exits: what the log then has is what
// a crash leaves, which Open reads.
func (s *Store) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	<-s.torn
	return s.tornErr
}
