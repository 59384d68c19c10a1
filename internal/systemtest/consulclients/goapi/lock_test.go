package consulapi

import (
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

func TestSession(t *testing.T) {
	a, b := server(t), server(t)
	self, err := a.Agent().NodeName()
	check(t, err)
	id, _, err := a.Session().Create(&api.SessionEntry{Name: name(t, "s"), TTL: "10s", LockDelay: time.Second, Behavior: api.SessionBehaviorDelete}, nil)
	check(t, err)
	s, _, err := b.Session().Info(id, nil)
	check(t, err)
	if s == nil || s.Node != self || s.LockDelay != time.Second || s.TTL != "10s" || s.Behavior != "delete" || len(s.NodeChecks) != 1 || s.NodeChecks[0] != "serfHealth" {
		t.Fatalf("%+v", s)
	}
	renewed, _, err := b.Session().Renew(id, nil)
	if err != nil || renewed == nil || renewed.ID != id {
		t.Errorf("renew: %+v, %v", renewed, err)
	}
	list, _, err := b.Session().Node(self, nil)
	check(t, err)
	found := false
	for _, s := range list {
		found = found || s.ID == id
	}
	equal(t, "listed on its node", found, true)
	_, err = a.Session().Destroy(id, nil)
	check(t, err)
	if s, _, err := b.Session().Info(id, nil); err != nil || s != nil {
		t.Errorf("after its end: %+v, %v", s, err)
	}
	if s, _, err := b.Session().Renew(id, nil); err != nil || s != nil {
		t.Errorf("renewed after its end: %+v, %v", s, err)
	}
}

// RenewPeriodic outlives the TTL, and ends the session when it is told to.
func TestRenewPeriodic(t *testing.T) {
	a, b := server(t).Session(), server(t).Session()
	id, _, err := a.CreateNoChecks(&api.SessionEntry{TTL: "10s"}, nil)
	check(t, err)
	done, ended := make(chan struct{}), make(chan error)
	go func() { ended <- a.RenewPeriodic("10s", id, nil, done) }()
	time.Sleep(13 * time.Second)
	if s, _, err := b.Info(id, nil); err != nil || s == nil {
		t.Errorf("not renewed: %v, %v", s, err)
	}
	close(done)
	check(t, <-ended)
	if s, _, err := b.Info(id, nil); err != nil || s != nil {
		t.Errorf("after its end: %v, %v", s, err)
	}
}

func TestLock(t *testing.T) {
	key := name(t, "k")
	one, err := server(t).LockOpts(&api.LockOptions{Key: key, Value: []byte("one"), SessionTTL: "10s", LockDelay: 100 * time.Millisecond})
	check(t, err)
	lost, err := one.Lock(nil)
	check(t, err)
	two, err := server(t).LockOpts(&api.LockOptions{Key: key, Value: []byte("two"), LockDelay: 100 * time.Millisecond})
	check(t, err)
	got := make(chan error, 1)
	go func() {
		_, err := two.Lock(nil)
		got <- err
	}()
	select {
	case err := <-got:
		t.Fatal("two hold it:", err)
	case <-lost:
		t.Fatal("lost")
	case <-time.After(300 * time.Millisecond):
	}
	check(t, one.Unlock())
	check(t, <-got)
	if err := two.Destroy(); err != api.ErrLockHeld {
		t.Errorf("destroyed while it is held: %v", err)
	}
	check(t, two.Unlock())
	check(t, two.Destroy())
}

// Who holds a lock is told when its session ends.
func TestLockLost(t *testing.T) {
	c := server(t)
	id, _, err := c.Session().Create(&api.SessionEntry{LockDelay: time.Millisecond}, nil)
	check(t, err)
	l, err := c.LockOpts(&api.LockOptions{Key: name(t, "k"), Session: id, MonitorRetries: 3})
	check(t, err)
	lost, err := l.Lock(nil)
	check(t, err)
	_, err = server(t).Session().Destroy(id, nil)
	check(t, err)
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody said so")
	}
}

// Who holds a lock is told when its key is changed over etcd's API, which knows of no locks: put, it is held on;
// deleted, it is lost, and another may have it at once, for no session has ended.
func TestLockWhoseKeyIsChangedElsewhere(t *testing.T) {
	key := name(t, "k")
	one, err := server(t).LockOpts(&api.LockOptions{Key: key, SessionTTL: "10s", MonitorRetries: 3})
	check(t, err)
	lost, err := one.Lock(nil)
	check(t, err)
	overEtcd(t, "/v3/kv/put", map[string][]byte{"key": []byte(key), "value": []byte("x")})
	pair, _, err := server(t).KV().Get(key, nil)
	if err != nil || pair == nil || pair.Session == "" || string(pair.Value) != "x" {
		t.Fatalf("after a put: %+v, %v", pair, err)
	}
	select {
	case <-lost:
		t.Fatal("lost by a put")
	case <-time.After(100 * time.Millisecond):
	}
	overEtcd(t, "/v3/kv/deleterange", map[string][]byte{"key": []byte(key)})
	select {
	case <-lost:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody said so")
	}
	two, err := server(t).LockOpts(&api.LockOptions{Key: key, LockTryOnce: true, LockWaitTime: 5 * time.Second})
	check(t, err)
	got, err := two.Lock(nil)
	if err != nil || got == nil {
		t.Fatalf("another: %v", err)
	}
	if err := one.Unlock(); err != nil {
		t.Error(err)
	}
	pair, _, err = server(t).KV().Get(key, nil)
	if err != nil || pair == nil || pair.Session == "" {
		t.Errorf("who had lost it freed it: %+v, %v", pair, err)
	}
	check(t, two.Unlock())
}

// Never do more than two hold a semaphore of two, and all get their turn.
func TestSemaphore(t *testing.T) {
	prefix := name(t, "sem")
	var mu sync.Mutex
	holders, most := 0, 0
	var wg sync.WaitGroup
	for range 5 {
		c := server(t)
		wg.Go(func() {
			s, err := c.SemaphoreOpts(&api.SemaphoreOptions{Prefix: prefix, Limit: 2, SessionTTL: "10s"})
			if err == nil {
				_, err = s.Acquire(nil)
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			holders++
			most = max(most, holders)
			mu.Unlock()
			time.Sleep(50 * time.Millisecond)
			mu.Lock()
			holders--
			mu.Unlock()
			if err := s.Release(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if most > 2 {
		t.Errorf("%d held it at once", most)
	}
}
