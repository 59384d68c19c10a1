//go:build e2e

package etcdclients

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"

	"herald/internal/systemtest/process"
)

// awaitMember waits until a member is listed with a peer address as it should be.
func awaitMember(t *testing.T, c *clientv3.Client, peer, what string, ok func(*etcdserverpb.Member) bool) *etcdserverpb.Member {
	t.Helper()
	var is *etcdserverpb.Member
	process.Eventually(t, 30*time.Second, what, func() error {
		all, err := c.MemberList(soon(t))
		if err != nil {
			return err
		}
		for _, m := range all.Members {
			if m.PeerURLs[0] == "http://"+peer && ok(m) {
				is = m
				return nil
			}
		}
		return fmt.Errorf("listed are %v", all.Members)
	})
	return is
}

// addedAgain is what is said to a member with the peer URL of another. etcd makes its number of the URL and the
// second, and finds within the same second that the number is there.
func addedAgain() error {
	if realEtcd != nil {
		<-time.After(time.Second)
	}
	return rpctypes.ErrPeerURLExist
}

// TestMembersWithClientv3 has a fourth server join three as a learner, gives it a vote and takes it out.
func TestMembersWithClientv3(t *testing.T) {
	t.Parallel()
	// One that has kept up for a while gets a vote of itself: not here.
	trio := threeWithLearners(t)
	c := connect(t, trio.Etcd[:]...)
	put(t, c, "k", "v")
	peer, launch := trio.Fourth()
	urls := []string{"http://" + peer}
	var added *clientv3.MemberAddResponse
	process.Eventually(t, 20*time.Second, "a learner", func() (err error) { // three that have just met are not sure of each other
		added, err = c.MemberAddAsLearner(soon(t), urls)
		return err
	})
	if !added.Member.IsLearner || added.Member.Name != "" || len(added.Members) != 4 {
		t.Errorf("added: %v of %v", added.Member, added.Members)
	}
	again := addedAgain()
	if _, err := c.MemberAdd(soon(t), urls); !errors.Is(err, again) {
		t.Errorf("added again: %v", err)
	}
	if _, err := c.MemberPromote(soon(t), added.Member.ID); !errors.Is(err, rpctypes.ErrMemberLearnerNotReady) {
		t.Errorf("promoted before it has started: %v", err)
	}
	launch()
	fourth := awaitMember(t, c, peer, "a learner that has started", func(m *etcdserverpb.Member) bool {
		return m.Name == process.Name(3) && m.IsLearner && len(m.ClientURLs) > 0
	})
	process.Eventually(t, 30*time.Second, "a vote", func() error {
		_, err := c.MemberPromote(soon(t), fourth.ID)
		return err
	})
	awaitMember(t, c, peer, "a voter", func(m *etcdserverpb.Member) bool { return m.ID == fourth.ID && !m.IsLearner })
	if _, err := c.MemberPromote(soon(t), fourth.ID); !errors.Is(err, rpctypes.ErrMemberNotLearner) {
		t.Errorf("promoted again: %v", err)
	}
	process.Eventually(t, 20*time.Second, "the fourth's state", func() error {
		r, err := connect(t, strings.TrimPrefix(fourth.ClientURLs[0], "http://")).Get(soon(t), "k")
		if err == nil && (len(r.Kvs) != 1 || string(r.Kvs[0].Value) != "v") {
			err = fmt.Errorf("%v", r)
		}
		return err
	})
	if _, err := c.MemberUpdate(soon(t), fourth.ID, urls); err != nil {
		t.Errorf("its own URL again: %v", err)
	}
	if _, err := c.MemberUpdate(soon(t), 4711, urls); !errors.Is(err, rpctypes.ErrMemberNotFound) {
		t.Errorf("update of nobody: %v", err)
	}
	if _, err := c.MemberRemove(soon(t), 4711); !errors.Is(err, rpctypes.ErrMemberNotFound) {
		t.Errorf("removal of nobody: %v", err)
	}
	left, err := c.MemberRemove(soon(t), fourth.ID)
	if err != nil || len(left.Members) != 3 {
		t.Errorf("removed: %v, %v", left, err)
	}
	if value, _ := get(t, c, "k"); value != "v" {
		t.Errorf("k is %q with three again", value)
	}
}

// TestMembersWithEtcdctl has a fourth server join three as a voter, and takes it out, as operators do.
func TestMembersWithEtcdctl(t *testing.T) {
	t.Parallel()
	trio := three(t)
	all := strings.Join(trio.Etcd[:], ",")
	c := connect(t, trio.Etcd[:]...)
	peer, launch := trio.Fourth()
	url := "http://" + peer
	process.Eventually(t, 20*time.Second, "a note", func() error {
		out, err := etcdctl(soon(t), all, "member", "add", process.Name(3), "--peer-urls="+url).CombinedOutput()
		if want := regexp.MustCompile(`^Member +[0-9a-f]+ added to cluster +[0-9a-f]+\n`); err != nil || !want.Match(out) {
			return fmt.Errorf("%v: %s", err, out)
		}
		return nil
	})
	again := addedAgain()
	if etcd34(t) {
		again = rpctypes.ErrUnhealthy // one that has not started is what it looks at first
	}
	typeAt(t, all, []typed{
		{"member add other --peer-urls=" + url, "", "Error: " + again.Error()},
		{"member list", "", `/(?m)^[0-9a-f]+, unstarted, , ` + regexp.QuoteMeta(url) + `, , false$/`},
	})
	launch()
	fourth := awaitMember(t, c, peer, "a voter", func(m *etcdserverpb.Member) bool {
		return m.Name == process.Name(3) && !m.IsLearner && len(m.ClientURLs) > 0
	})
	id := fmt.Sprintf("%x", fourth.ID)
	typeAt(t, all+","+strings.TrimPrefix(fourth.ClientURLs[0], "http://"), []typed{
		{"put k v", "", "OK\n"},
		{"endpoint health", "", `/^(127\.0\.0\.1:\d+ is healthy: .*\n){4}$/`},
		{"endpoint hashkv --cluster", "", `/^(http:\/\/127\.0\.0\.1:\d+, \d+\n){4}$/`},
		{"member promote " + id, "", "Error: etcdserver: can only promote a learner member"},
		{"member update " + id + " --peer-urls=" + url, "", `/^Member +` + id + ` updated in cluster +[0-9a-f]+\n$/`},
		{"member remove 4711", "", "Error: etcdserver: member not found"},
	})
	typeAt(t, all, []typed{
		{"member remove " + id, "", `/^Member +` + id + ` removed from cluster +[0-9a-f]+\n$/`},
		{"member list", "", `/^([0-9a-f]+, started, herald-[123], \S+, \S+, false\n){3}$/`},
		{"get k", "", "k\nv\n"},
	})
}
