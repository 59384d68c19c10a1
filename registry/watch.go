package registry

import "context"

// WatchRequest asks for the changes of a range of keys.
type WatchRequest struct {
	Space Space
	KeyRange
	// StartRevision is the first revision whose changes are wanted. 0 is
	// whatever comes next. One that was compacted fails with *CompactedError
	// (the lowest revision kept can be watched from); one in the future waits,
	// and nothing before it is delivered.
	StartRevision int64
	// SkipPuts and SkipDeletes leave out events of that type.
	SkipPuts    bool
	SkipDeletes bool
	// WithEmpty delivers the commits, too, that have no events at all, whatever the range,
	// unless that can hold no key: for one who counts revisions. A transaction that
	// undoes all that it did makes such a commit.
	WithEmpty bool
	// Buffer is how many commits may wait undelivered before the watcher has
	// to be caught up from history; 0 takes the store's default.
	Buffer int
	// Ready, unless it is nil, is called when Poll would no longer return nothing: for
	// one who serves many watchers without waiting for any of them. It is called at
	// least once after a Poll that returned neither commits nor an error, if there
	// comes to be something; it may be called more often. It must not block, nor
	// call the watcher, since the store may hold its locks.
	Ready func()
}

// Watcher delivers commits, each once, in order of revision, none left out.
// Events outside its range are not in what it delivers; a commit with none
// inside is not delivered at all (but see WatchRequest.WithEmpty).
//
// Next must not be called by two goroutines at once. Close may be called by
// any, any number of times, and ends a Next under way with ErrWatchClosed.
type Watcher interface {
	// StartedAt is the revision of the space when the watcher was registered:
	// with a StartRevision of 0, the first commit it can deliver is
	// StartedAt()+1.
	StartedAt() int64
	// Next waits for at least one commit and returns those that are ready. When
	// its own ctx ends it returns ctx's error and loses nothing: it may be called
	// again. After any other error it returns the same error forever:
	// ErrWatchClosed; the error of the context that the watch was made with;
	// *CompactedError if the watcher fell so far behind that history could not
	// catch it up; ErrWatchReset after the store was restored (read everything
	// again, then watch anew); ErrStopped.
	Next(ctx context.Context) ([]Commit, error)
	// Poll is Next without waiting: it returns no commits and no error if there is
	// nothing now, and WatchRequest.Ready is called when that has changed. One who
	// polls calls it first after the watch was made, and after each return of
	// commits again. It is not to be called beside Next.
	Poll() ([]Commit, error)
	// Synced is a revision up to which everything has been returned by Next or Poll:
	// no later commit that they return has a revision at or below it. It never goes
	// down, and any goroutine may ask. What the latest call returned counts
	// once there is another: a progress notice made of Synced cannot overtake
	// commits that the goroutine calling Next still has in hand.
	Synced() int64
	Close()
}
