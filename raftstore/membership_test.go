package raftstore

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// Three servers over real sockets make a cluster. The first knows nobody: it hears of the
// others when they ask it.
func TestThreeServersMakeACluster(t *testing.T) {
	join := "127.0.0.1:1" // nobody
	var stores []*Store
	for i := range 3 {
		cfg := testConfig(t)
		cfg.NodeName = fmt.Sprintf("node-%d", i)
		cfg.BootstrapExpect, cfg.Join = 3, []string{join}
		s, err := Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { mustClose(t, s) })
		stores = append(stores, s)
		join = stores[0].PeerAddress()
	}
	for i, s := range stores {
		waitReady(t, s)
		mustPut(t, s, fmt.Sprintf("k%d", i), "v")
	}
	id := stores[0].Status().ClusterID
	for i, s := range stores {
		wantValue(t, s, fmt.Sprintf("k%d", (i+1)%3), "v")
		if st := s.Status(); st.ClusterID != id || id == "" {
			t.Errorf("server %d is part of cluster %q, server 0 of %q", i, st.ClusterID, id)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		members, err := s.Members(ctx)
		cancel()
		if err != nil || len(members) != 3 {
			t.Errorf("server %d: members %+v, %v", i, members, err)
		}
	}
}
