// Package watch fans applied commits out to watchers, by key range.
//
// A Hub is told of each new state of the history by the one goroutine that
// applies commands, and never makes it wait. A goroutine of the hub's own reads the
// commits that are new, finds who watches their keys, and appends to the bounded
// buffer of each watcher. Watchers of the same range and filter form a group: what
// they see of a commit is worked out once and shared. A watcher whose buffer is full is
// left behind: the hub stops appending, and the watcher's own Next reads the
// history from where the buffer ends until it has caught up and joins the hub's
// flow again. A watch that starts in the past is one that is behind from the
// beginning. So the slow pay for their slowness themselves, and what a watcher
// cannot be given without a gap it is refused, with a *registry.CompactedError.
//
// The package refuses to know what keys mean, how the history is stored and who is
// at the other end of a watcher.
//
// # Concurrency
//
// Each Hub owns one goroutine, which NewHub starts and Close waits for. There is none
// for a watcher; when the context of a Watch ends, a short-lived one (which Close
// waits for too) takes the watcher off the hub.
//
// Lock order: Hub.mu before watcher.mu, Hub.mu before Hub.pub; the latter two are never
// held together. Publish takes only Hub.pub, which nobody holds for longer than it
// takes to move a few words. The hub holds Hub.mu while it hands out one commit; a watcher
// that is caught up does not take it in Next.
package watch
