//go:build e2e

package etcdclients

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/internal/systemtest/process"
)

// Each test here is of a way in which etcd itself has once broken a promise, and that takes
// processes to see. The number is that of etcd's own report.

// TestRevisionAfterACrashInCompaction is #17780: a server killed while it compacted came back with a lower
// revision.
func TestRevisionAfterACrashInCompaction(t *testing.T) {
	t.Parallel()
	// Snapshots all the time: what a server starts from then is one, and not the whole log.
	p, again := server(t, "--raft-snapshot-entries", "1", "--raft-snapshot-interval", "20ms")
	c := connect(t, p.Etcd)
	last := int64(0)
	for range 3 {
		for range 20 {
			last = put(t, c, "k", fmt.Sprint(last))
		}
		deleted, err := c.Delete(soon(t), "k") // the last revisions leave no key behind
		if err != nil {
			t.Fatal(err)
		}
		last = deleted.Header.Revision
		compacted := make(chan error, 1)
		go func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			_, err := c.Compact(ctx, last, clientv3.WithCompactPhysical())
			compacted <- err
		}()
		if last%2 == 0 {
			<-compacted            // once after it, once meanwhile
			awaitSnapshot(t, p, c) // and after a snapshot of what it left
		}
		p.Kill()
		p = again()
		var r *clientv3.GetResponse
		process.Eventually(t, 20*time.Second, "a read", func() (err error) {
			r, err = c.Get(soon(t), "k")
			return err
		})
		if r.Header.Revision != last || r.Count != 0 {
			t.Errorf("the revision was %d and is %d after a crash, with %d keys", last, r.Header.Revision, r.Count)
		}
	}
	if next := put(t, c, "k", "new"); next != last+1 {
		t.Errorf("the next write is at %d, after %d", next, last)
	}
}

// awaitSnapshot waits until the server has a snapshot of what it has now, if it is Herald's: it must have been
// told to take one after each entry of its log.
func awaitSnapshot(t *testing.T, p *process.Process, c *clientv3.Client) {
	t.Helper()
	if realEtcd != nil {
		return // that takes one after many thousands
	}
	for range 2 { // the first may have begun before
		had := snapshotsTaken(t, p)
		if _, err := c.Grant(soon(t), 3600); err != nil { // an entry, and no revision
			t.Fatal(err)
		}
		process.Eventually(t, 20*time.Second, "a snapshot", func() error {
			if n := snapshotsTaken(t, p); n <= had {
				return fmt.Errorf("there were %d, and are %d", had, n)
			}
			return nil
		})
	}
}

// snapshotsTaken is how many snapshots a server of Herald's has taken since it started.
func snapshotsTaken(t *testing.T, p *process.Process) int {
	t.Helper()
	resp, err := http.Get(p.URL("/metrics"))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	_, n, _ := strings.Cut(string(text), "\nherald_raft_snapshot_seconds_count{outcome=\"ok\"} ")
	n, _, _ = strings.Cut(n, "\n")
	if n == "" {
		return 0
	}
	taken, err := strconv.Atoi(n)
	if err != nil {
		t.Fatal(err)
	}
	return taken
}

// TestReadsOfAFrozenLeader is #20418: a leader that was frozen while another was elected answered reads
// of its own past.
func TestReadsOfAFrozenLeader(t *testing.T) {
	t.Parallel()
	trio := three(t)
	for range 2 {
		leader := leaderOf(t, trio)
		a, b := process.Others(leader)
		old, rest := connect(t, trio.Etcd[leader]), connect(t, trio.Etcd[a], trio.Etcd[b])
		put(t, old, "k", "before")
		thaw := trio.Servers[leader].Freeze()
		t.Cleanup(thaw)
		var want int64
		process.Eventually(t, 30*time.Second, "a write without "+process.Name(leader), func() error {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			r, err := rest.Put(ctx, "k", "after")
			if err == nil {
				want = r.Header.Revision
			}
			return err
		})
		// Asked while it sleeps: the question is the first that it hears when it wakes.
		type answer struct {
			r   *clientv3.GetResponse
			err error
		}
		answers := make(chan answer, 8)
		for range cap(answers) {
			go func() {
				r, err := old.Get(soon(t), "k")
				answers <- answer{r, err}
			}()
		}
		<-time.After(200 * time.Millisecond)
		thaw()
		for range cap(answers) {
			switch got := <-answers; {
			case got.err != nil:
				t.Errorf("a read of the server that was frozen: %v", got.err)
			case string(got.r.Kvs[0].Value) != "after" || got.r.Header.Revision < want:
				t.Errorf("the server that was frozen answers %q at %d, after a write at %d", got.r.Kvs[0].Value, got.r.Header.Revision, want)
			}
		}
	}
}

// TestSameHashOnEachServer is #18667: transactions that read what was compacted went otherwise on
// servers that had compacted already than on those that had not.
func TestSameHashOnEachServer(t *testing.T) {
	t.Parallel()
	fixedSince34(t, "its servers disagree")
	trio := three(t)
	c := connect(t, trio.Etcd[:]...)
	last := int64(0)
	refused := 0
	for n := range 60 {
		last = put(t, c, fmt.Sprintf("k/%d", n%7), fmt.Sprint(n))
		if n%10 == 9 {
			go c.Compact(t.Context(), last-3)
		}
		// At the edge of what is compacted: all servers do it, or none.
		_, err := c.Txn(soon(t)).Then(clientv3.OpPut("edge", fmt.Sprint(n)), clientv3.OpGet("k/0", clientv3.WithRev(max(1, last-6)))).Commit()
		if errors.Is(err, rpctypes.ErrCompacted) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Compact(soon(t), last-2, clientv3.WithCompactPhysical()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Txn(soon(t)).Then(clientv3.OpPut("edge", "lost"), clientv3.OpGet("k/0", clientv3.WithRev(last-3))).Commit(); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("a transaction that reads what is compacted: %v", err)
	}
	now := put(t, c, "edge", "last")
	var first *clientv3.HashKVResponse
	for i, endpoint := range trio.Etcd {
		var h *clientv3.HashKVResponse
		process.Eventually(t, 10*time.Second, "the hash of "+process.Name(i), func() (err error) {
			h, err = c.HashKV(soon(t), endpoint, now) // a server that is behind says that it is to come
			return err
		})
		if first == nil {
			first = h
		}
		if h.Hash != first.Hash || h.CompactRevision != first.CompactRevision || h.CompactRevision != last-2 {
			t.Errorf("%s: hash %d, compacted to %d; %s: hash %d, compacted to %d", process.Name(0), first.Hash, first.CompactRevision, process.Name(i), h.Hash, h.CompactRevision)
		}
	}
	// etcd remembers the hashes of the revisions that it has compacted to; this was none.
	if _, err := c.HashKV(soon(t), trio.Etcd[0], last-4); !errors.Is(err, rpctypes.ErrCompacted) {
		t.Errorf("the hash of what is compacted: %v", err)
	}
	t.Logf("%d transactions read what was compacted", refused)
}
