//go:build !bug_watch_drop && !bug_watch_dup

package watch

// bugAtSeam plants a bug in a test build: a watcher that fell behind goes on one revision too late, or
// too early, where its buffer ends and the history begins.
const bugAtSeam = 0
