//go:build bug_watch_dup

package watch

const bugAtSeam = -1
