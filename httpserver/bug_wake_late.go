//go:build bug_wake_late

package httpserver

const bugWakeLate = 16
