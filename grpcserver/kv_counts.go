package grpcserver

import (
	"sync/atomic"

	"herald/registry"
)

// kvCounts are what clients of this server's door have read and written, operations of
// transactions included; a range counts as one, however many keys it is of. It is safe for
// concurrent use.
type kvCounts struct {
	puts, deletes, ranges atomic.Uint64
	txns                  atomic.Uint64 // of more than one operation, as etcd counts them
}

// txn counts what a transaction has done.
func (c *kvCounts) txn(results []registry.OpResult) {
	if c.operations(results) > 1 {
		c.txns.Add(1)
	}
}

func (c *kvCounts) operations(results []registry.OpResult) (n int) {
	for i := range results {
		switch r := &results[i]; {
		case r.Range != nil:
			c.ranges.Add(1)
		case r.Put != nil:
			c.puts.Add(1)
		case r.Delete != nil:
			c.deletes.Add(1)
		case r.Txn != nil:
			n += c.operations(r.Txn.Results) - 1
		}
		n++
	}
	return n
}
