package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// changers are how many changes of a catalog are under way at most: enough that a server which is busy with questions is sent as
// many a second as an idle one.
const changers = 256

// changes are what a catalog goes through while it is asked: so many a second, each of which gives an instance chosen at random
// another address and another weight.
type changes struct {
	catalog dnsCatalog
	base    string // of the HTTP API; no changes are made if empty
	rate    int    // a second
	most    time.Duration
	next    int // number of the first that was not made
}

// during makes changes for as long as load takes, and returns how many. All are answered then.
//
// It owns a goroutine for each changer and one that hands out their work, and returns once all have ended.
func (c *changes) during(ctx context.Context, load func(context.Context) error) (int, error) {
	if c.base == "" {
		return 0, load(ctx)
	}
	outer := ctx
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	pacing, stop := context.WithCancel(ctx)
	defer stop()
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: changers}}
	defer client.CloseIdleConnections()
	var (
		wg      sync.WaitGroup
		numbers = make(chan int)
		first   = c.next
		made    int
	)
	for range changers {
		wg.Go(func() {
			for i := range numbers {
				if err := httpPut(ctx, client, c.base+"/v1/catalog/register", c.body(first+i)); err != nil {
					cancel(fmt.Errorf("change %d of the catalog: %w", first+i, err))
				}
			}
		})
	}
	wg.Go(func() {
		defer close(numbers)
		made = pacer{rate: c.rate, window: c.most, limit: 1 << 24, mayGo: func(int) bool { return true }}.run(pacing, numbers)
	})
	err := load(ctx)
	stop()
	wg.Wait()
	c.next += made
	if cause := context.Cause(ctx); cause != nil && outer.Err() == nil {
		// The load failed because it was interrupted, if it did.
		return made, cause
	}
	if err == nil && made == 0 {
		err = errors.New("no change of the catalog was made")
	}
	return made, err
}

// body is change number n. No other one has its address, until 2^24 later.
func (c *changes) body(n int) string {
	i := rand.New(rand.NewPCG(4, uint64(n))).IntN(int(c.catalog))
	node := c.catalog.nodeOf(i)
	return fmt.Sprintf(`{"Node":"node-%d","Address":"%s","Service":%s}`,
		node, addressIn(11, node+1), dnsRegistration(i, addressIn(12, n), 1+n%10))
}
