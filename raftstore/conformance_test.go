package raftstore

import (
	"testing"

	"herald/registry"
	"herald/registry/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{LogWAL, LogBoltDB} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(t *testing.T) registry.Store {
				cfg := testConfig(t)
				cfg.LogStore = kind
				if kind == LogBoltDB {
					cfg.MaxRequestBytes = 1 << 20
				}
				return openReady(t, cfg)
			})
		})
	}
}
