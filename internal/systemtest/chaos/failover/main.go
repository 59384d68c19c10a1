// Command failover measures how long a cluster of three takes no writes when its leader is killed: three
// real processes on loopback, clients that write to all of them, kill -9 of the
// leader again and again. With -etcd it does the same to etcd's three processes, through the
// same clients, so that the two can be compared on one machine.
//
//	go run ./internal/systemtest/chaos/failover -kills 50
//	go run ./internal/systemtest/chaos/failover -kills 50 -etcd
//
// What it says of each kill is the longest time between two writes that were acknowledged, of any
// client by any server, from the kill until all three servers are well again. Both systems
// run with the timeouts that they come with.
//
// Its writers are goroutines of measure, which waits for them; processes are killed and
// waited for at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"
)

func main() {
	kills := flag.Int("kills", 50, "how often the leader is killed")
	writers := flag.Int("writers", 6, "how many clients write")
	patience := flag.Duration("patience", 250*time.Millisecond, "how long a client waits before it asks the next server")
	etcd := flag.Bool("etcd", false, "measure the etcd that is installed instead of Herald")
	binary := flag.String("binary", "", "herald's binary (default: it is built), or etcd's")
	verbose := flag.Bool("v", false, "say how long each kill took")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *kills, *writers, *patience, *etcd, *binary, *verbose)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "failover:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, kills, writers int, patience time.Duration, etcd bool, binary string, verbose bool) (err error) {
	dir, err := os.MkdirTemp("", "herald-failover-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var s system
	if etcd {
		s, err = newEtcd(dir, binary)
	} else {
		s, err = newHerald(ctx, dir, binary)
	}
	if err != nil {
		return err
	}
	c := &cluster{system: s, dir: dir}
	defer c.end()
	if err := c.start(ctx); err != nil {
		return err
	}
	gaps, err := measure(ctx, c, kills, writers, patience, verbose)
	if len(gaps) > 0 {
		fmt.Printf("%s: %d kills of the leader: time without writes p50 %v, p90 %v, p99 %v, max %v\n", s.name(), len(gaps),
			quantile(gaps, 50), quantile(gaps, 90), quantile(gaps, 99), quantile(gaps, 100))
	}
	if err == nil && len(gaps) < kills {
		err = errors.New("interrupted")
	}
	return err
}

// quantile is the smallest gap that so many of a hundred do not exceed.
func quantile(gaps []time.Duration, percent int) time.Duration {
	sorted := slices.Sorted(slices.Values(gaps))
	return sorted[max((len(sorted)*percent+99)/100-1, 0)].Round(time.Millisecond)
}
