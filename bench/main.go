// Command bench compares Herald with etcd, with Consul and with NSD: it starts both side by side on loopback, asks each in turn
// through etcd's own client, through Consul's HTTP API with wrk, or over DNS with dnsperf, and prints throughput, latency and the
// servers' processor time.
//
//	go build -o bin/herald ./cmd/herald
//	go run ./bench -nodes 1,3 -work put,range,mixed -clients 1,64,512
//	go run ./bench -peers herald,consul -nodes 1 -work http-health,http-get -clients 64,256
//	go run ./bench -peers herald,nsd -nodes 1 -clients 64 -dns-instances 1000000
//
// It is made for machines that also do other things. The peers take turns in short rounds, so that what else the machine
// does meets both; every round's figure is printed beside the median, with how busy the rest of the machine was and how
// much the generator itself took, which has the same processors. Both keep their data in one directory, and both
// run with the settings that they come with. "-peers etcd,etcd" compares one with itself, which shows how large a difference
// means nothing.
//
// Each load gets fresh clusters. A server's processor time and memory are the kernel's, from /proc, summed over all
// servers of a cluster and the processes that they start: the command needs Linux. The servers are processes that it starts,
// kills and waits for; the goroutines of a load end with its round.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	quiet()
	s, err := parse(os.Args[1:], os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return
	case err == nil:
		err = run(ctx, s, os.Stdout, os.Stderr)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		stop()
		os.Exit(1)
	}
}

// quiet keeps etcd's client from writing of each request that it tries again. What fails in the end is in the table.
func quiet() {
	const level = "ETCD_CLIENT_DEBUG"
	if _, set := os.LookupEnv(level); !set {
		_ = os.Setenv(level, "fatal")
	}
}
