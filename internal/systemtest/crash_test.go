//go:build e2e

package systemtest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// TestNoAcknowledgedWriteIsLost kills the node under writes and starts it again on
// the same data, several times over. etcd's reports 13766 and 14370 are of a lone server that
// lost such writes.
func TestNoAcknowledgedWriteIsLost(t *testing.T) {
	const (
		rounds  = 5
		writers = 16
		running = 1500 * time.Millisecond
	)
	for _, logStore := range []string{"wal", "boltdb"} {
		t.Run(logStore, func(t *testing.T) {
			dir := t.TempDir()
			acknowledged := map[string]string{}
			for round := range rounds {
				p := process.Dev(t, "--data-dir", dir, "--raft-log-store", logStore, "--raft-snapshot-entries", "2000", "--raft-snapshot-interval", "500ms")
				verify(t, p, acknowledged)
				for k, v := range writeUntilKilled(p, round, writers, running) {
					acknowledged[k] = v
				}
			}
			p := process.Dev(t, "--data-dir", dir, "--raft-log-store", logStore)
			verify(t, p, acknowledged)
			t.Logf("%d acknowledged writes over %d kills, all there", len(acknowledged), rounds)
			if len(acknowledged) < 100 {
				t.Errorf("only %d writes were acknowledged: the test proves little", len(acknowledged))
			}
		})
	}
}

// writeUntilKilled writes from many clients, kills the node meanwhile, and
// returns what was acknowledged.
func writeUntilKilled(p *process.Process, round, writers int, running time.Duration) map[string]string {
	var (
		mu  sync.Mutex
		all = map[string]string{}
		wg  sync.WaitGroup
	)
	for w := range writers {
		wg.Go(func() {
			for n := 0; ; n++ {
				key, value := fmt.Sprintf("crash/%d/%d/%d", round, w, n), fmt.Sprintf("%d-%d", w, n)
				if !put(p.URL("/v1/kv/"+key), value) {
					return // the node is dead; whether this write took effect is open
				}
				mu.Lock()
				all[key] = value
				mu.Unlock()
			}
		})
	}
	time.AfterFunc(running, p.Kill)
	wg.Wait()
	<-p.Done()
	return all
}

func put(url, value string) bool {
	req, err := http.NewRequest(http.MethodPut, url, bytes.NewBufferString(value))
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return err == nil && resp.StatusCode == http.StatusOK && string(bytes.TrimSpace(body)) == "true"
}

func verify(t *testing.T, p *process.Process, want map[string]string) {
	t.Helper()
	if len(want) == 0 {
		return
	}
	lost := 0
	for k, v := range want {
		resp, err := http.Get(p.URL("/v1/kv/" + k + "?raw"))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || string(body) != v {
			if lost++; lost <= 5 {
				t.Errorf("%s: status %d, %q, %v; want %q", k, resp.StatusCode, body, err, v)
			}
		}
	}
	if lost > 0 {
		t.Fatalf("%d of %d acknowledged writes are lost", lost, len(want))
	}
}
