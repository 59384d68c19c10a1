//go:build e2e

package systemtest

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// etcdMember is a member as etcd's gateway lists it.
type etcdMember struct {
	ID         string   `json:"ID"`
	Name       string   `json:"name"`
	PeerURLs   []string `json:"peerURLs"`
	ClientURLs []string `json:"clientURLs"`
	IsLearner  bool     `json:"isLearner"`
}

// ask makes a call of etcd's gateway and reads the answer into what to points at. The error is
// what the server says is wrong.
func ask(at, path, body string, to any) error {
	res, err := http.Post("http://"+at+path, "application/json", strings.NewReader(body))
	if err != nil {
		return err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		var refused struct{ Message string }
		if err := json.Unmarshal(b, &refused); err != nil {
			return fmt.Errorf("%d %s", res.StatusCode, b)
		}
		return fmt.Errorf("%s", refused.Message)
	}
	return json.Unmarshal(b, to)
}

func mustAsk(t *testing.T, at, path, body string, to any) {
	t.Helper()
	if err := ask(at, path, body, to); err != nil {
		t.Fatalf("%s of %s: %v", path, at, err)
	}
}

// refused fails the test unless a call fails with that text.
func refused(t *testing.T, at, path, body, want string) {
	t.Helper()
	if err := ask(at, path, body, new(any)); err == nil || err.Error() != want {
		t.Errorf("%s %s: %v, want %q", path, body, err, want)
	}
}

// listed are the members as a server lists them: their names in order, "-" for one that has
// none, and each by its peer URL.
func listed(t *testing.T, at string) (string, map[string]etcdMember) {
	t.Helper()
	var list struct{ Members []etcdMember }
	mustAsk(t, at, "/v3/cluster/member/list", `{"linearizable":true}`, &list)
	var names []string
	byPeer := make(map[string]etcdMember)
	for _, m := range list.Members {
		names = append(names, cmp.Or(m.Name, "-"))
		byPeer[m.PeerURLs[0]] = m
	}
	slices.Sort(names)
	return strings.Join(names, " "), byPeer
}

// TestMembersOfThree sees a cluster through the member list of etcd's API, and changes it
// through that API: every server says where clients reach it, before and after a restore.
func TestMembersOfThree(t *testing.T) {
	c := process.NewTrio(t)
	await := func(at, want string) (members map[string]etcdMember) {
		t.Helper()
		process.Eventually(t, 20*time.Second, "the members", func() error {
			names, byPeer := listed(t, at)
			if members = byPeer; names != want {
				return fmt.Errorf("%s, want %s", names, want)
			}
			return nil
		})
		return members
	}
	const three = "herald-1 herald-2 herald-3"
	members := await(c.Etcd[0], three)
	for i := range c.Servers {
		m := members["http://"+c.Peers[i]]
		if m.Name != process.Name(i) || !slices.Equal(m.ClientURLs, []string{"http://" + c.Etcd[i]}) || m.IsLearner {
			t.Errorf("member %d is listed as %+v", i, m)
		}
	}
	id := func(i int) string { return members["http://"+c.Peers[i]].ID }

	// A snapshot that an etcd client takes is restored by ours, and the list is what it was.
	mustAsk(t, c.Etcd[0], "/v3/kv/put", `{"key":"YQ==","value":"MQ=="}`, new(any))
	file := filepath.Join(t.TempDir(), "snapshot")
	save := exec.Command("etcdctl", "snapshot", "save", file)
	save.Env = append(os.Environ(), "ETCDCTL_API=3", "ETCDCTL_ENDPOINTS="+c.Etcd[1])
	if out, err := save.CombinedOutput(); err != nil {
		t.Fatalf("etcdctl snapshot save: %v\n%s", err, out)
	}
	mustAsk(t, c.Etcd[0], "/v3/kv/put", `{"key":"YQ==","value":"Mg=="}`, new(any))
	c.Servers[2].Herald("snapshot", "restore", "--yes", file)
	var got struct{ KVs []struct{ Value string } }
	mustAsk(t, c.Etcd[0], "/v3/kv/range", `{"key":"YQ=="}`, &got)
	if len(got.KVs) != 1 || got.KVs[0].Value != "MQ==" {
		t.Errorf("after the restore: %+v", got)
	}
	await(c.Etcd[2], three)

	// An alarm that is armed at one server is in force at all.
	mustAsk(t, c.Etcd[2], "/v3/maintenance/alarm", `{"action":"ACTIVATE","alarm":"NOSPACE","memberID":"1"}`, new(any))
	for _, at := range c.Etcd {
		process.Eventually(t, 10*time.Second, "the alarm", func() error {
			if err := ask(at, "/v3/kv/put", `{"key":"Yg=="}`, new(any)); err == nil || err.Error() != "etcdserver: mvcc: database space exceeded" {
				return fmt.Errorf("a put at %s: %v", at, err)
			}
			return nil
		})
	}
	mustAsk(t, c.Etcd[0], "/v3/maintenance/alarm", `{"action":"DEACTIVATE","alarm":"NOSPACE","memberID":"1"}`, new(any))
	mustAsk(t, c.Etcd[0], "/v3/kv/put", `{"key":"Yg=="}`, new(any))

	// Leadership is the leader's to hand on.
	leader := c.Leader(0)
	a, b := process.Others(leader)
	refused(t, c.Etcd[a], "/v3/maintenance/transfer-leadership", `{"targetID":"`+id(b)+`"}`, "etcdserver: not leader")
	mustAsk(t, c.Etcd[leader], "/v3/maintenance/transfer-leadership", `{"targetID":"`+id(b)+`"}`, new(any))
	if leader = c.Leader(leader); leader != b {
		t.Fatalf("%s leads, want %s", process.Name(leader), process.Name(b))
	}

	// A dead server is removed, one that is needed is not.
	dead, needed := process.Others(leader)
	c.Servers[dead].Kill()
	process.Eventually(t, 10*time.Second, "the leader misses the dead one", func() error {
		err := ask(c.Etcd[leader], "/v3/cluster/member/remove", `{"ID":"`+id(needed)+`"}`, new(any))
		if err == nil || err.Error() != "etcdserver: unhealthy cluster" {
			return fmt.Errorf("removing one that is needed: %v", err)
		}
		return nil
	})
	mustAsk(t, c.Etcd[leader], "/v3/cluster/member/remove", `{"ID":"`+id(dead)+`"}`, new(any))
	two := strings.Join(slices.Sorted(slices.Values([]string{process.Name(leader), process.Name(needed)})), " ")
	await(c.Etcd[leader], two)
	await(c.Etcd[needed], two)

	// One that was said to come is listed when it has come, and learns what is said of the others.
	fresh := process.FreeAddresses(t, 3)
	mustAsk(t, c.Etcd[needed], "/v3/cluster/member/add", `{"peerURLs":["http://`+fresh[0]+`"]}`, new(any))
	await(c.Etcd[leader], "- "+two)
	process.Start(t, "server", "--node-name", "newcomer", "--node-address", "127.0.0.1", "--data-dir", t.TempDir(),
		"--peer-address", fresh[0], "--http-address", fresh[1], "--dns-address", "127.0.0.1:0", "--etcd-address", fresh[2],
		"--join", c.Peers[leader], "--raft-stabilization-time", "1s")
	for _, at := range []string{fresh[2], c.Etcd[leader]} {
		await(at, two+" newcomer")
	}
	process.Eventually(t, 20*time.Second, "a vote", func() error {
		if _, members := listed(t, c.Etcd[needed]); members["http://"+fresh[0]].IsLearner {
			return fmt.Errorf("the newcomer is a learner")
		}
		return nil
	})
	refused(t, c.Etcd[leader], "/v3/cluster/member/add", `{"peerURLs":["http://`+fresh[0]+`"]}`, "etcdserver: Peer URLs already exists")
}

// TestHashesOfThree writes, deletes and compacts, and finds every server to have the same hash
// of every revision that is left.
func TestHashesOfThree(t *testing.T) {
	c := process.NewTrio(t)
	leader := c.Leader(0)
	follower, _ := process.Others(leader)
	var last struct {
		Header struct {
			Revision int64 `json:",string"`
		}
	}
	for i := range 120 {
		body, err := json.Marshal(map[string][]byte{"key": {byte('a' + i%7)}, "value": bytes.Repeat([]byte("v"), i)})
		if err != nil {
			t.Fatal(err)
		}
		mustAsk(t, c.Etcd[i%3], "/v3/kv/put", string(body), &last)
		if i%10 == 9 {
			mustAsk(t, c.Etcd[follower], "/v3/kv/deleterange", string(body), &last)
		}
		if i == 60 {
			mustAsk(t, c.Etcd[follower], "/v3/kv/compaction", fmt.Sprintf(`{"revision":%d}`, last.Header.Revision-30), new(any))
		}
	}
	type hash struct {
		Hash            uint32
		HashRevision    string `json:"hash_revision"`
		CompactRevision string `json:"compact_revision"`
	}
	before := make(map[hash]bool)
	for revision := last.Header.Revision - 60; revision <= last.Header.Revision; revision += 20 {
		var first hash
		for i, at := range c.Etcd {
			mustAsk(t, at, "/v3/kv/range", `{"key":"YQ=="}`, new(any)) // then it is there
			var h hash
			mustAsk(t, at, "/v3/maintenance/hashkv", fmt.Sprintf(`{"revision":%d}`, revision), &h)
			if i == 0 {
				first = h
			}
			if h != first || h.HashRevision != fmt.Sprint(revision) || h.CompactRevision == "-1" {
				t.Errorf("revision %d: %s has %+v, the first %+v", revision, process.Name(i), h, first)
			}
		}
		if before[first] {
			t.Errorf("revision %d has the hash of another", revision)
		}
		before[first] = true
	}
}
