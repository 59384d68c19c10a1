package agent

import (
	"fmt"
	"sync/atomic"
	"testing"

	"herald/registry"
)

// BenchmarkRegister registers services with a ttl check each, of new ids, from 64
// goroutines, on an agent that has some already. It has a data directory, and is not
// run: the catalog is another's cost.
func BenchmarkRegister(b *testing.B) {
	for _, before := range []int{0, 10_000} {
		b.Run(fmt.Sprintf("before=%d", before), func(b *testing.B) {
			a, err := New(keeping(b.TempDir()), newFake(), nil, nil)
			if err != nil {
				b.Fatal(err)
			}
			defer a.Close()
			err = a.change(b.Context(), func(d *draft) error {
				for i := range before {
					def := offer(fmt.Sprintf("before-%d", i), ttlDef("", registry.Passing))
					p, err := a.prepareService(def, owner{origin: fromAPI})
					if err != nil {
						return err
					}
					if err := d.putService(p, owner{origin: fromAPI}, keepChecks); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				b.Fatal(err)
			}
			var next atomic.Int64
			b.ReportAllocs()
			b.SetParallelism(32) // of two processors' worth
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					def := offer(fmt.Sprintf("new-%d", next.Add(1)), ttlDef("", registry.Passing))
					if _, err := a.RegisterService(b.Context(), def, false); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
