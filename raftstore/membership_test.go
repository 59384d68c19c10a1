package raftstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry"
)

// Three servers over real sockets make a cluster. The first knows nobody: it hears of the
// others when they ask it.
func TestThreeServersMakeACluster(t *testing.T) {
	t.Parallel()
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

// strangers starts n servers that have to find each other, each with the addresses of all.
func strangers(t *testing.T, n, expect int, adjust func(*Config)) *cluster {
	c := &cluster{strangers: true}
	c.init(t, n, func(cfg *Config) {
		cfg.BootstrapExpect = expect
		for i := range n {
			cfg.Join = append(cfg.Join, host(i)+":7400")
		}
		if adjust != nil {
			adjust(cfg)
		}
	})
	return c
}

// add starts one more server, with an id of its own, that joins the others.
func (c *cluster) add(id string, adjust func(*Config)) int {
	c.t.Helper()
	i := len(c.configs)
	cfg := c.configs[0]
	cfg.DataDir += id
	cfg.NodeID, cfg.NodeName, cfg.PeerAddress = id, host(i), host(i)+":7400"
	cfg.BootstrapExpect = 0
	for j, s := range c.stores {
		if s != nil { // the last one that runs
			cfg.Join = []string{c.configs[j].PeerAddress}
		}
	}
	if adjust != nil {
		adjust(&cfg)
	}
	c.configs, c.stores = append(c.configs, cfg), append(c.stores, nil)
	c.strangers = true
	c.start(i)
	return i
}

// one waits until all that run are part of one cluster, each with a say as wanted (nil: all
// vote), and returns its id.
func (c *cluster) one(want map[int]registry.Suffrage) string {
	c.t.Helper()
	var why string
	for range 1200 {
		if why = c.disagreement(want); why == "" {
			return c.stores[c.leader()].Status().ClusterID
		}
		time.Sleep(100 * time.Millisecond)
	}
	c.t.Fatal("after two minutes: " + why)
	return ""
}

func (c *cluster) disagreement(want map[int]registry.Suffrage) string {
	id := ""
	for i, s := range c.stores {
		if s == nil {
			continue
		}
		st := s.Status()
		switch {
		case st.ClusterID == "" || st.Leader == "":
			return fmt.Sprintf("server %d is part of cluster %q, led by %q", i, st.ClusterID, st.Leader)
		case id == "":
			id = st.ClusterID
		case st.ClusterID != id:
			return fmt.Sprintf("there are clusters %s and %s", id, st.ClusterID)
		}
		say, ok := want[i]
		if want == nil {
			say, ok = registry.Voter, true
		}
		if me, in := s.configured(s.self()); ok && (!in || suffrage(me) != say) {
			return fmt.Sprintf("server %d is to be a %s, its configuration says %+v (%v)", i, say, me, in)
		}
	}
	return ""
}

func TestStrangersMakeACluster(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		id := c.one(nil)
		for i, s := range c.stores {
			mustPut(t, s, fmt.Sprint("k", i), "v")
		}
		for i := range c.stores {
			c.stop(i)
		}
		for i := range c.stores {
			c.start(i)
		}
		if again := c.one(nil); again != id {
			t.Errorf("after a restart the cluster is %s, it was %s", again, id)
		}
		wantValue(t, c.stores[0], "k2", "v")
	})
}

// Servers are killed, frozen out and started again while they make a cluster.
func TestStrangersMakeOneClusterWhateverHappens(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 0))
				c := strangers(t, 5, 3, nil)
				for range 12 {
					time.Sleep(time.Duration(rnd.IntN(700)) * time.Millisecond)
					i := rnd.IntN(5)
					switch {
					case c.stores[i] == nil:
						c.start(i)
					case rnd.IntN(2) == 0:
						c.stop(i)
					default:
						c.net.CutBoth(host(i), host(rnd.IntN(5)))
					}
				}
				c.net.HealAll()
				for i, s := range c.stores {
					if s == nil {
						c.start(i)
					}
				}
				c.one(nil)
				mustPut(t, c.stores[3], "k", "v")
				for _, s := range c.stores {
					wantValue(t, s, "k", "v")
				}
			})
		})
	}
}

// The coordinator has decided that the cluster exists, and dies before its log says so.
func TestDecisionIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.isolate(0) // nobody may decide yet
		time.Sleep(2 * time.Second)
		for i := range c.stores {
			c.stop(i)
		}
		for i := range c.stores {
			d, err := openDataDir(&c.configs[i])
			if err != nil {
				t.Fatal(err)
			}
			to := charter{Promise: &promise{"x", "id-0", host(0) + ":7400"}}
			if i == 0 {
				to = charter{ClusterID: "x"}
				for _, srv := range c.servers {
					to.Founders = append(to.Founders, founder{string(srv.ID), string(srv.Address)})
				}
			}
			if done, err := d.recharter(d.charter(), to); err != nil || !done {
				t.Fatal(done, err)
			}
			if err := d.close(); err != nil {
				t.Fatal(err)
			}
			c.start(i)
		}
		if id := c.one(nil); id != "x" {
			t.Errorf("the cluster is %s", id)
		}
		if f := c.stores[0].dir.charter().Founders; f != nil {
			t.Errorf("the founders are in the log, and noted still: %v", f)
		}
	})
}

func TestNewServerGetsAVote(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		fill(t, c.stores[0], "k", 500)
		i := c.add("id-new", nil)
		c.one(map[int]registry.Suffrage{i: registry.NonVoter})
		start := time.Now()
		c.one(nil)
		if took := time.Since(start); took < 8*time.Second || took > 13*time.Second {
			t.Errorf("it got a vote after %v, want about %v", took, c.configs[i].StabilizationTime)
		}
		if n := count(t, c.stores[i], "k"); n != 500 {
			t.Errorf("it has %d keys", n)
		}
	})
}

func TestLoneServerGrows(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := &cluster{strangers: true}
		c.init(t, 1, nil)
		c.one(nil)
		mustPut(t, c.stores[0], "k", "v")
		for i := 1; i < 3; i++ {
			c.add(fmt.Sprint("id-", i), func(cfg *Config) { cfg.Join = []string{host(0) + ":7400"} })
		}
		start := time.Now()
		c.one(nil)
		if took := time.Since(start); took > 8*time.Second {
			t.Errorf("three voters after %v", took)
		}
		old := c.leader()
		c.stop(old)
		wantValue(t, c.stores[c.leader()], "k", "v")
	})
}

func TestReplacedServerIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		dead := (c.leader() + 1) % 3
		c.stop(dead)
		// Its successor has its name and its address, and an empty directory.
		c.configs[dead].DataDir += "-successor"
		c.configs[dead].NodeID = "id-successor"
		c.start(dead)
		c.one(nil)
		time.Sleep(20 * time.Second)
		members, err := c.stores[c.leader()].Members(t.Context())
		if err != nil || len(members) != 3 || registry.ToleranceOf(members).Failures != 1 {
			t.Errorf("members: %+v, %v", members, err)
		}
	})
}

// A server of the same id that comes back without its data must not vote: it would not know what it
// voted for.
func TestServerThatLostItsDataIsNotLetIn(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		lost := (c.leader() + 1) % 3
		c.stop(lost)
		c.configs[lost].DataDir += "-empty"
		c.start(lost)
		time.Sleep(time.Minute)
		s := c.stores[lost]
		if st := s.Status(); st.ClusterID != "" || s.raft.LastIndex() != 0 {
			t.Fatalf("it is let in: %+v", st)
		}
		err := s.Join(t.Context(), host(c.leader())+":7400")
		if !errors.Is(err, registry.ErrMembership) || !strings.Contains(err.Error(), "herald members remove") {
			t.Errorf("it is told: %v", err)
		}
		if err := c.stores[c.leader()].Remove(t.Context(), s.self()); err != nil {
			t.Fatal(err)
		}
		c.one(nil)
	})
}

func TestNamesakeIsRefused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		i := c.add("id-new", func(cfg *Config) { cfg.NodeName = host(1) })
		time.Sleep(30 * time.Second)
		if _, in := c.stores[c.leader()].configured("id-new"); in {
			t.Error("a server was taken in under a name that another has")
		}
		_ = i
	})
}

func TestDeadServerIsRemoved(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 4, 4, func(cfg *Config) { cfg.DeadServerAfter = 2 * time.Minute })
		c.one(nil)
		for n := range 2 {
			c.stop((c.leader() + 1) % len(c.stores))
			time.Sleep(119 * time.Second)
			servers := c.stores[c.leader()].raft.GetConfiguration().Configuration().Servers
			if want := 4 - n; len(servers) != want {
				t.Fatalf("%d servers before the time, want %d: %v", len(servers), want, servers)
			}
			time.Sleep(6 * time.Second)
			servers = c.stores[c.leader()].raft.GetConfiguration().Configuration().Servers
			if len(servers) != 3 { // never fewer
				t.Fatalf("%d servers, want 3: %v", len(servers), servers)
			}
			if n == 0 {
				c.compact()
			}
		}
	})
}

// compact forgets the servers that do not run.
func (c *cluster) compact() {
	for i := len(c.stores) - 1; i >= 0; i-- {
		if c.stores[i] == nil {
			c.stores, c.configs = slices.Delete(c.stores, i, i+1), slices.Delete(c.configs, i, i+1)
			c.names = map[int]string{}
			for j := range c.configs {
				c.names[j] = strings.TrimSuffix(c.configs[j].PeerAddress, ":7400")
			}
		}
	}
}

// A leader that is stopped in good order hands on leadership: nobody waits for an election.
func TestOrderlyStopHasNoGap(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		for range 3 {
			l := c.leader()
			s := c.stores[(l+1)%3]
			start := time.Now()
			mustClose(t, c.stores[l])
			c.stores[l] = nil
			mustPut(t, s, "k", "v")
			if took := time.Since(start); took > 300*time.Millisecond {
				t.Errorf("a write during a leader's orderly stop took %v", took)
			}
			c.start(l)
			c.one(nil)
		}
	})
}

func TestMembersWithoutALeader(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		l := c.leader()
		members, err := c.stores[l].Members(t.Context())
		if err != nil || len(members) != 3 {
			t.Fatalf("%+v, %v", members, err)
		}
		for i, m := range members {
			if m.Name != host(i) || !m.Alive || m.Leader != (i == l) || m.Suffrage != registry.Voter || m.Term == 0 || m.Lag != 0 {
				t.Errorf("member %d: %+v", i, m)
			}
		}
		c.stop((l + 1) % 3)
		c.stop((l + 2) % 3)
		settle()
		start := time.Now()
		members, err = c.stores[l].Members(t.Context())
		if err != nil || len(members) != 3 || time.Since(start) > askMembersFor {
			t.Fatalf("%+v, %v after %v", members, err, time.Since(start))
		}
		for i, m := range members {
			if m.Name != host(i) || m.Alive != (i == l) || m.Leader || m.Alive == (m.Error != "") {
				t.Errorf("member %d of a cluster without a quorum: %+v", i, m)
			}
		}
		if tol := registry.ToleranceOf(members); tol.Failures != -1 {
			t.Errorf("it survives %d failures", tol.Failures)
		}
	})
}

func TestWaitingServerIsTold(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 3, 3, nil)
		c.one(nil)
		i := c.add("id-new", func(cfg *Config) { cfg.Join = nil })
		time.Sleep(10 * time.Second)
		if st := c.stores[i].Status(); st.ClusterID != "" || st.Leader != "" {
			t.Errorf("a server that nobody told anything: %+v", st)
		}
		follower := (c.leader() + 1) % 3
		if err := c.stores[i].Join(t.Context(), host(follower)+":7400"); err != nil {
			t.Fatal(err)
		}
		c.one(nil)

		// A server with a cluster of its own is not for joining.
		own := c.add("id-own", func(cfg *Config) { cfg.Join, cfg.BootstrapExpect = nil, 1 })
		c.stores[own].WaitReady(t.Context())
		if err := c.stores[own].Join(t.Context(), host(0)+":7400"); !errors.Is(err, registry.ErrMembership) {
			t.Errorf("joining with a cluster of its own: %v", err)
		}
		if err := c.stores[own].askIn(t.Context(), c.stores[0].target("id-0", host(0)+":7400"), true); !errors.Is(err, registry.ErrForeignCluster) {
			t.Errorf("a server of one cluster asks another in: %v", err)
		}
	})
}

// One server's settings may be made from the same mould as many: it is alone if all the addresses
// to join are its own, and not if somebody else may be at one.
func TestOneOfOneMould(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := strangers(t, 1, 1, nil)
		c.one(nil)

		c = &cluster{strangers: true}
		c.init(t, 1, func(cfg *Config) {
			cfg.BootstrapExpect, cfg.Join = 1, []string{host(0) + ":7400", "nobody:7400"}
		})
		time.Sleep(time.Minute)
		if st := c.stores[0].Status(); st.ClusterID != "" {
			t.Errorf("it does without the others: %+v", st)
		}
	})
}

func TestNamesOfManyServers(t *testing.T) {
	t.Parallel()
	m := &membership{lookup: func(_ context.Context, host string) ([]string, error) {
		switch host {
		case "many":
			return []string{"10.0.0.1", "fd00::1"}, nil
		case "one":
			return []string{"10.0.0.2"}, nil
		}
		return nil, errors.New("no such host")
	}}
	got := m.expand(t.Context(), []string{"one:1", "many:2", "none:3", "10.0.0.3:4", "[::1]:5"})
	want := []string{"one:1", "10.0.0.1:2", "[fd00::1]:2", "none:3", "10.0.0.3:4", "[::1]:5"}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
