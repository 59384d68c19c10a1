package cli

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// onHangup calls reload at every SIGHUP, one call at a time, until the returned
// function is called, which waits for a call under way. Windows sends none.
func onHangup(reload func()) (stop func()) {
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	var wg sync.WaitGroup
	wg.Go(func() {
		for range hangups {
			reload()
		}
	})
	return func() {
		signal.Stop(hangups)
		close(hangups)
		wg.Wait()
	}
}
