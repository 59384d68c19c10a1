//go:build lab && linux

package lab_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"herald/internal/systemtest/chaos/chaosdoor"
	"herald/internal/systemtest/chaos/lab"
	"herald/registry"
)

const binaryVar = "LAB_TEST_BINARY"

// TestMain runs the tests in a lab of three nodes, inside.
func TestMain(m *testing.M) {
	if lab.Inside() {
		os.Exit(m.Run())
	}
	os.Exit(outside())
}

func outside() int {
	dir, err := os.MkdirTemp("", "lab-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "herald")
	build := exec.Command("go", "build", "-tags", "chaos", "-o", binary, "herald/internal/systemtest/chaos/herald")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	os.Setenv(binaryVar, binary)
	b, err := lab.Build(3)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	self, err := os.Executable()
	if err == nil {
		err = b.Run(context.Background(), append([]string{self}, os.Args[1:]...))
	}
	if err := errors.Join(err, b.Remove()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// single is a node of its own cluster, with a client.
type single struct {
	*lab.Node
	*chaosdoor.Client
}

// enter starts each node as a cluster of its own.
func enter(t *testing.T) (*lab.Lab, []single) {
	t.Helper()
	l, err := lab.Enter(os.Getenv(binaryVar), "--bootstrap-expect", "1")
	if err != nil {
		t.Fatal(err)
	}
	var nodes []single
	t.Cleanup(func() {
		for _, n := range nodes {
			n.Client.Close()
		}
		if t.Failed() {
			to := t.ArtifactDir()
			t.Log("logs of the nodes:", to, l.Logs(to))
		}
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, n := range l.Nodes() {
		if err := n.Start(); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, single{n, chaosdoor.NewClient(n.Door())})
	}
	for _, n := range nodes {
		n.works(t)
	}
	return l, nodes
}

// put writes, for a second at most.
func (s single) put(t *testing.T) error {
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := registry.Put(ctx, s.Client, registry.PutRequest{Key: "a", Value: []byte(time.Now().String())})
	return err
}

// works waits until a write succeeds.
func (s single) works(t *testing.T) {
	t.Helper()
	var err error
	for begin := time.Now(); time.Since(begin) < 20*time.Second; <-time.After(20 * time.Millisecond) {
		if err = s.put(t); err == nil {
			return
		}
	}
	t.Fatalf("%s takes no write: %v", s.Name, err)
}

// hangs checks that a write is not answered.
func (s single) hangs(t *testing.T) {
	t.Helper()
	if err := s.put(t); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("%s: a write ended with %v, want it to hang", s.Name, err)
	}
}

func (s single) revision(t *testing.T) int64 {
	t.Helper()
	st, err := s.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return st.Revisions[registry.SpaceKV]
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestLab does to one node after the other what can be done to it, and looks that it was
// done, and undone.
func TestLab(t *testing.T) {
	l, nodes := enter(t)
	n := nodes[0]

	t.Run("kill", func(t *testing.T) {
		before, life := n.revision(t), n.Life()
		check(t, n.Kill())
		if n.Running() || n.Fallen() != nil || n.Life() != 0 {
			t.Errorf("killed, it runs: %v, fell: %v, life %d", n.Running(), n.Fallen(), n.Life())
		}
		check(t, n.Start())
		n.works(t)
		if after := n.revision(t); after <= before || n.Life() != life+1 {
			t.Errorf("revision %d before the kill and %d after it, life %d and %d", before, after, life, n.Life())
		}
	})
	t.Run("stop", func(t *testing.T) {
		check(t, n.Stop(t.Context()))
		check(t, n.Start())
		n.works(t)
	})
	t.Run("pause", func(t *testing.T) {
		check(t, n.Pause())
		n.hangs(t)
		check(t, n.Resume())
		n.works(t)
		check(t, n.Pause())
		check(t, n.Kill())
		check(t, n.Start())
		n.works(t)
	})
	t.Run("stall of the log", func(t *testing.T) {
		check(t, n.SetStall(true))
		n.hangs(t)
		check(t, n.SetStall(false))
		n.works(t)
	})
	t.Run("frozen disk", func(t *testing.T) {
		check(t, n.Freeze())
		n.hangs(t)
		check(t, n.Kill()) // which waits for nothing
		check(t, n.Thaw())
		check(t, n.Kill()) // and this for its end
		check(t, n.Start())
		n.works(t)
	})
	t.Run("full disk", func(t *testing.T) {
		check(t, n.Fill(0))
		f, err := os.Create(filepath.Join(n.DataDir(), "..", "more"))
		if err == nil {
			_, err = f.Write(make([]byte, 64<<10))
			f.Close()
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("writing to a full disk: %v", err)
		}
		check(t, n.Drain())
		check(t, os.WriteFile(f.Name(), make([]byte, 64<<10), 0o600))
	})
	t.Run("clock", func(t *testing.T) {
		check(t, n.SetClock(-5*time.Hour, 1))
		began := time.Now()
		for {
			w, err := n.Watch(t.Context(), registry.WatchRequest{KeyRange: registry.All()})
			check(t, err)
			check(t, n.put(t))
			commits, err := w.Next(t.Context())
			check(t, err)
			w.Close()
			off := time.Until(commits[0].Origin.When).Round(time.Minute)
			if off == -5*time.Hour {
				break
			}
			if time.Since(began) > 5*time.Second {
				t.Fatalf("the server's clock is off by %v", off)
			}
		}
		check(t, n.SetClock(0, 1))
	})
	t.Run("cut wires", func(t *testing.T) {
		a, b := nodes[0].Node, nodes[1].Node
		for _, cut := range []struct {
			cuts       []lab.Cut
			ab, ba, ac bool
		}{
			{nil, true, true, true},
			{lab.Apart(l.Nodes()[:1], l.Nodes()[1:]), false, false, false},
			{lab.Apart(l.Nodes()[:1], l.Nodes()[1:2]), false, false, true},
			// What a sends does not arrive at b, nor its answers; so neither can call the other.
			{[]lab.Cut{{From: a, To: b}}, false, false, true},
			{nil, true, true, true},
		} {
			check(t, l.SetCuts(cut.cuts...))
			for _, pair := range []struct {
				from, to *lab.Node
				want     bool
			}{{a, b, cut.ab}, {b, a, cut.ba}, {a, l.Nodes()[2], cut.ac}} {
				if got := dials(pair.from, pair.to); got != pair.want {
					t.Errorf("with cuts %v: %s reaches %s: %v, want %v", cut.cuts, pair.from.Name, pair.to.Name, got, pair.want)
				}
			}
		}
		// A one-way cut loses what goes one way only.
		check(t, l.SetCuts(lab.Cut{From: a, To: b}))
		if got := datagramArrives(t, b, a); !got {
			t.Error("b's datagram does not reach a, though only a's to b are lost")
		}
		if got := datagramArrives(t, a, b); got {
			t.Error("a's datagram reaches b over a cut wire")
		}
		check(t, l.SetCuts())
		for _, n := range nodes {
			n.works(t)
		}
	})
	t.Run("fall", func(t *testing.T) {
		check(t, n.Stop(t.Context()))
		check(t, n.Start("--no-such-flag"))
		for begin := time.Now(); n.Running() && time.Since(begin) < 5*time.Second; {
			<-time.After(5 * time.Millisecond)
		}
		if n.Fallen() == nil {
			t.Error("a process that ended by itself is not known to have")
		}
	})
	for _, n := range nodes {
		if lines, err := n.Panics(); len(lines) > 0 || err != nil {
			t.Error(lines, err)
		}
	}
}

// dials reports whether a program at one node can open a connection to another node.
func dials(from, to *lab.Node) bool {
	host, port, _ := net.SplitHostPort(to.HTTP())
	cmd := from.Command("timeout", "1", "bash", "-c", "exec 3<>/dev/tcp/"+host+"/"+port)
	return cmd.Run() == nil
}

// datagramArrives sends a DNS query from one node to another, where something waits for it.
func datagramArrives(t *testing.T, from, to *lab.Node) bool {
	t.Helper()
	listen := to.Command("timeout", "1", "python3", "-c",
		"import socket; s=socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('"+to.Address+"', 5353)); print('ready', flush=True); print(s.recv(100))")
	out, err := listen.StdoutPipe()
	check(t, err)
	check(t, listen.Start())
	ready := make([]byte, 6)
	_, err = out.Read(ready)
	check(t, err)
	check(t, from.Command("bash", "-c", "echo hello > /dev/udp/"+to.Address+"/5353").Run())
	rest := make([]byte, 100)
	k, _ := out.Read(rest)
	_ = listen.Wait()
	return strings.Contains(string(rest[:k]), "hello")
}
