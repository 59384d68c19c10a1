//go:build bug_health_sleep

package catalog

const bugHealthSleep = true
