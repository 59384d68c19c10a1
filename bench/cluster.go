package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// server is one process of a cluster, and how it is started.
type server struct {
	name     string
	endpoint string // where it serves etcd's API, host:port; empty if it does not
	http     string // where it serves Consul's API, host:port; empty if it does not
	dns      string // where it answers over UDP, host:port; empty if the loads are not to ask it
	cmd      *exec.Cmd
	log      string        // file with what it said
	exited   chan struct{} // closed once the process has ended
}

// kind is a system that can be compared.
type kind struct {
	// servers are n servers to be started whose data is below dir.
	servers func(s *settings, binary, dir string, n int) ([]server, error)
	version string // what makes the binary say its version
	doors   []door // what it can be asked through
}

// door is an API that loads use.
type door string

const (
	doorEtcd door = "etcd"
	doorHTTP door = "HTTP"
	doorDNS  door = "DNS"
)

var kinds = map[string]kind{
	"herald": {servers: heraldServers, version: "version", doors: []door{doorEtcd, doorHTTP, doorDNS}},
	"etcd":   {servers: etcdServers, version: "--version", doors: []door{doorEtcd}},
	"consul": {servers: consulServers, version: "version", doors: []door{doorHTTP}},
	"nsd":    {servers: nsdServers, version: "-v", doors: []door{doorDNS}},
}

// readyTimeout is how long a cluster may take until each of its servers takes a put, or answers a question if puts are not what it
// is there for.
const readyTimeout = time.Minute

// cluster is the running servers of one peer. It owns a goroutine for each, which waits for its end.
type cluster struct {
	peer    string
	dir     string
	servers []server
	waiting sync.WaitGroup
	changed int // how often a load changed its catalog
}

// startCluster starts n servers whose data is in a new directory below dir, and waits until each takes a put. The
// caller ends it.
func startCluster(ctx context.Context, s *settings, peer peer, n int) (*cluster, error) {
	dir, err := os.MkdirTemp(s.dir, "bench-"+peer.kind+"-")
	if err != nil {
		return nil, err
	}
	c := &cluster{peer: peer.name, dir: dir}
	servers, err := kinds[peer.kind].servers(s, peer.binary, dir, n)
	if err != nil {
		return nil, errors.Join(err, c.end())
	}
	for _, s := range servers {
		if err := c.launch(s); err != nil {
			return nil, errors.Join(err, c.end())
		}
	}
	if err := c.ready(ctx); err != nil {
		return nil, errors.Join(err, c.end())
	}
	return c, nil
}

func (c *cluster) launch(s server) error {
	s.log = filepath.Join(c.dir, s.name+".log")
	log, err := os.Create(s.log)
	if err != nil {
		return err
	}
	defer log.Close()
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.Env = log, log, environment()
	if err := s.cmd.Start(); err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.exited = make(chan struct{})
	c.servers = append(c.servers, s)
	c.waiting.Go(func() {
		defer close(s.exited)
		_ = s.cmd.Wait() // it is killed, so it never ends well
	})
	return nil
}

// endTimeout is how long a server's processes may take to be gone once they are killed.
const endTimeout = 10 * time.Second

// end kills the servers, with all processes that they started, and removes their data.
func (c *cluster) end() error {
	all, err := families(c.pids())
	if err != nil {
		all = c.pids()
	}
	// The servers are first, which would start others in place of those that end.
	for _, pid := range all {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill() // it may have ended with its server
			_ = p.Release()
		}
	}
	c.waiting.Wait()
	err = errors.Join(err, gone(all, endTimeout))
	return errors.Join(err, os.RemoveAll(c.dir))
}

// pids are the processes that were started; they may have started others.
func (c *cluster) pids() []int {
	var all []int
	for _, s := range c.servers {
		all = append(all, s.cmd.Process.Pid)
	}
	return all
}

// ready waits until every server is.
func (c *cluster) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	for _, s := range c.servers {
		if err := s.ready(ctx); err != nil {
			return fmt.Errorf("%s does not get ready: %w\n%s", s.name, err, s.lastWords())
		}
	}
	return nil
}

// ready waits until a server takes a put, or answers a question.
func (s *server) ready(ctx context.Context) error {
	switch {
	case s.endpoint != "":
		conn, err := dial(ctx, s.endpoint)
		if err != nil {
			return err
		}
		defer conn.Close()
		return s.until(ctx, func(ctx context.Context) error {
			_, err := conn.Put(ctx, "bench/ready", s.name)
			return err
		})
	case s.http != "":
		defer http.DefaultClient.CloseIdleConnections()
		return s.until(ctx, func(ctx context.Context) error {
			return httpPut(ctx, http.DefaultClient, "http://"+s.http+"/v1/kv/bench/ready", s.name)
		})
	default:
		return s.until(ctx, s.takesQuestions)
	}
}

// until tries again until it works, the server has ended, or ctx has.
func (s *server) until(ctx context.Context, works func(context.Context) error) error {
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := works(attempt)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-s.exited:
			return errors.New("it has ended")
		default:
		}
		if !pause(ctx, 50*time.Millisecond) {
			return err
		}
	}
}

// lastWords are the end of what a server said.
func (s *server) lastWords() string {
	const lines = 10
	b, _ := os.ReadFile(s.log)
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// lead is who leads a cluster.
type lead struct {
	endpoints []string // the leader's first, then the followers'
	term      uint64   // grows with each election
}

// lead asks every server. One that is alone is not asked.
func (c *cluster) lead(ctx context.Context) (lead, error) {
	if len(c.servers) == 1 {
		return lead{endpoints: []string{c.servers[0].endpoint}}, nil
	}
	var l lead
	var followers []string
	for _, s := range c.servers {
		conn, err := dial(ctx, s.endpoint)
		if err != nil {
			return lead{}, err
		}
		status, err := conn.Status(ctx, s.endpoint)
		conn.Close()
		if err != nil {
			return lead{}, fmt.Errorf("ask %s who leads: %w", s.name, err)
		}
		l.term = max(l.term, status.RaftTerm)
		if status.Leader == status.Header.MemberId {
			l.endpoints = append(l.endpoints, s.endpoint)
		} else {
			followers = append(followers, s.endpoint)
		}
	}
	if len(l.endpoints) != 1 {
		return lead{}, fmt.Errorf("%d servers say that they lead", len(l.endpoints))
	}
	l.endpoints = append(l.endpoints, followers...)
	return l, nil
}

// connections are some to each server of a cluster, in turn, the leader's first: what is asked over one alone is asked
// of the leader, of whichever peer.
type connections []*clientv3.Client

// connect opens n connections. The caller closes them.
func (c *cluster) connect(ctx context.Context, n int) (connections, error) {
	l, err := c.lead(ctx)
	if err != nil {
		return nil, err
	}
	var all connections
	for i := range n {
		conn, err := dial(ctx, l.endpoints[i%len(l.endpoints)])
		if err != nil {
			all.close()
			return nil, err
		}
		all = append(all, conn)
	}
	return all, nil
}

// of is the connection of client i.
func (all connections) of(i int) *clientv3.Client { return all[i%len(all)] }

func (all connections) close() {
	for _, conn := range all {
		conn.Close()
	}
}

func dial(ctx context.Context, endpoint string) (*clientv3.Client, error) {
	return clientv3.New(clientv3.Config{Endpoints: []string{endpoint}, DialTimeout: 5 * time.Second, Context: ctx})
}

// freeAddresses returns loopback addresses that nobody listens on, over TCP or UDP.
func freeAddresses(n int) ([]string, error) {
	const tries = 100
	var all []string
	for range n * tries {
		if len(all) == n {
			return all, nil
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at the end, so that all differ
		p, err := net.ListenPacket("udp", l.Addr().String())
		if err != nil {
			continue
		}
		defer p.Close()
		all = append(all, l.Addr().String())
	}
	return nil, errors.New("there is no port that is free for both TCP and UDP")
}

// splitAddress takes an address of freeAddresses apart.
func splitAddress(address string) (host, port string) {
	host, port, _ = net.SplitHostPort(address)
	return host, port
}

// environment is this process's, without what would configure a server.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(e string) bool {
		return strings.HasPrefix(e, "HERALD_") || strings.HasPrefix(e, "ETCD_") || strings.HasPrefix(e, "CONSUL_")
	})
}
