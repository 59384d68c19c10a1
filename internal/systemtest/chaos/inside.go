//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"herald/internal/systemtest/chaos/chaosdoor"
	"herald/internal/systemtest/chaos/check"
	"herald/internal/systemtest/chaos/etcdclient"
	"herald/internal/systemtest/chaos/fault"
	"herald/internal/systemtest/chaos/history"
	"herald/internal/systemtest/chaos/lab"
	"herald/internal/systemtest/chaos/workload"
)

const (
	// formTimeout is how long the servers may take to become a cluster.
	formTimeout = time.Minute
	// patience is how long the servers may take to be whole again once nothing is wrong any
	// more, and then how long the clients may take for their last reads, on a machine that
	// is busy.
	patience = 90 * time.Second
	// bugPatience is the same where a bug is planted that may keep them from it for ever.
	bugPatience = 15 * time.Second
)

// inside makes the cluster, breaks and drives it, and judges what was seen.
func inside(ctx context.Context, s settings) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: s.level()}))
	rec, err := history.Create(s.keep)
	if err != nil {
		return err
	}
	broken, err := perform(ctx, s, rec, log)
	if err = errors.Join(err, rec.Close()); err != nil {
		return err
	}
	if s.bug != "" {
		return nil // whether it is caught is for the outer process to see
	}
	fmt.Printf("%d servers, faults for %v, seed %d\n\n", s.nodes, s.duration, s.seed)
	report, err := check.All(s.keep)
	if err != nil {
		return err
	}
	if err := report.Print(os.Stdout); err != nil {
		return err
	}
	broken = append(broken, s.missed(report)...)
	for _, what := range broken {
		fmt.Println("VIOLATION:", what)
	}
	if !report.OK() || len(broken) > 0 {
		return errBroken
	}
	fmt.Println("every promise was kept")
	return nil
}

// missed are the kinds of fault that a run had the time for and never injected: it then
// proves less than it seems to.
func (s *settings) missed(r *check.Report) []string {
	p, err := s.plan()
	if err != nil || s.duration < shortDuration {
		return nil
	}
	var missed []string
	for _, k := range p.faults.Kinds {
		if !slices.ContainsFunc(r.Faults, func(c check.Count) bool { return c.Kind == k.Name && c.OK > 0 }) {
			missed = append(missed, fmt.Sprintf("the fault %s never happened in %v", k.Name, s.duration))
		}
	}
	return missed
}

// level is quiet where a bug is planted: what goes wrong then is no news.
func (s *settings) level() slog.Level {
	if s.bug != "" {
		return slog.LevelError
	}
	return slog.LevelInfo
}

// perform runs faults and clients. What it returns as broken are promises that no history is
// needed to see broken; an error says that the run itself failed.
func perform(ctx context.Context, s settings, rec *history.Recorder, log *slog.Logger) (broken []string, err error) {
	p, err := s.plan()
	if err != nil {
		return nil, err
	}
	l, err := lab.Enter(s.binary, serverArgs(s.nodes)...)
	if err != nil {
		return nil, err
	}
	c := &fault.Cluster{Lab: l, Record: rec, Log: log}
	defer func() {
		for _, client := range c.Clients {
			client.Close()
		}
		err = errors.Join(err, l.Logs(s.keep), l.Close())
	}()
	for _, n := range l.Nodes() {
		c.Clients = append(c.Clients, chaosdoor.NewClient(n.Door()))
		if err := n.Start(); err != nil {
			return nil, err
		}
	}
	if err := c.Whole(ctx, formTimeout); err != nil {
		return nil, fmt.Errorf("the servers form no cluster: %w", err)
	}
	log.Info("cluster formed", "servers", len(l.Nodes()))

	var etcd []*etcdclient.Store
	defer func() {
		for _, store := range etcd {
			store.Close()
		}
	}()
	for _, n := range l.Nodes() {
		store, err := etcdclient.Open(n.Etcd())
		if err != nil {
			return nil, err
		}
		etcd = append(etcd, store)
	}
	clients, err := workload.Start(ctx, p.clients, endpoints(c, etcd), rec)
	if err != nil {
		return nil, err
	}
	defer clients.Stop()
	faultsCtx, cancel := context.WithTimeout(ctx, s.duration)
	err = p.faults.Run(faultsCtx, c)
	cancel()
	if err != nil {
		broken = append(broken, err.Error())
	}
	log.Info("faults ended, waiting for the cluster to be whole")
	if err := l.Heal(); err != nil {
		return broken, err
	}
	// From here on an interrupt no longer counts: what was begun is brought to its end.
	ctx = context.WithoutCancel(ctx)
	if err := c.Whole(ctx, p.patience); err != nil {
		broken = append(broken, err.Error())
	}
	finishCtx, cancel := context.WithTimeout(ctx, p.patience)
	defer cancel()
	if err := clients.Finish(finishCtx); err != nil {
		broken = append(broken, err.Error())
	}
	for _, n := range l.Nodes() {
		lines, err := n.Panics()
		if err != nil {
			return broken, err
		}
		broken = append(broken, lines...)
	}
	return broken, nil
}

// serverArgs make a cluster whose logs and histories are short, so that followers that were
// away need snapshots, and watchers meet compaction.
func serverArgs(nodes int) []string {
	args := []string{
		"--bootstrap-expect", strconv.Itoa(nodes),
		"--raft-snapshot-entries", "1500", "--raft-snapshot-interval", "1s",
		"--raft-segment-bytes", "4194304", "--raft-stabilization-time", "1s",
		"--history-age", "30s", "--http-session-ttl-min", "1s",
	}
	for i := range nodes {
		args = append(args, "--join", lab.PeerAddress(i))
	}
	return args
}

func endpoints(c *fault.Cluster, etcd []*etcdclient.Store) []workload.Endpoint {
	var all []workload.Endpoint
	for i, n := range c.Lab.Nodes() {
		all = append(all, workload.Endpoint{
			Name: n.Name, HTTP: "http://" + n.HTTP(), DNS: n.DNS(), Store: c.Clients[i], Etcd: etcd[i],
			Life: n.Life, Status: c.Clients[i].Status, StateHash: c.Clients[i].StateHash,
		})
	}
	return all
}

// plan is what happens in a run.
type plan struct {
	faults   fault.Schedule
	clients  workload.Config
	patience time.Duration
}

func (s *settings) plan() (plan, error) {
	p := plan{
		faults:   fault.Schedule{Seed: s.seed, Kinds: fault.Kinds, Rest: 2 * time.Second},
		clients:  workload.DefaultConfig(),
		patience: patience,
	}
	p.clients.Seed, p.clients.Drift = s.seed, fault.MaxDrift
	if s.bug != "" {
		b, err := bugNamed(s.bug)
		if err != nil {
			return p, err
		}
		b.focus(&p)
	}
	if s.faults != "" {
		kinds, err := fault.Named(strings.Split(s.faults, ",")...)
		if err != nil {
			return p, err
		}
		p.faults.Kinds = kinds
	}
	return p, nil
}
