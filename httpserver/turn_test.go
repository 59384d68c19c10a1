package httpserver

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		late := 0
		begin := func() *turn { return newTurn(time.Second, func() { late++ }) }
		pass := func(d time.Duration) {
			timer := time.NewTimer(d)
			<-timer.C
			synctest.Wait()
		}
		begin()
		pass(time.Second)
		if late != 1 {
			t.Error("a whole turn is not late")
		}
		u := begin()
		u.pause()
		pass(time.Hour)
		u.resume()
		pass(time.Second - 1)
		if late != 1 {
			t.Error("the pause counted")
		}
		u.end()
		u.pause()
		u.resume() // a body that is still being read
		pass(time.Hour)
		if late != 1 {
			t.Error("late after the end")
		}
	})
}
