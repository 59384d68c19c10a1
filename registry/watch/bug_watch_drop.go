//go:build bug_watch_drop

package watch

const bugAtSeam = +1
