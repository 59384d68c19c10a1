package grpcserver

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"herald/registry/plugin"
	"herald/registry/storetest"
)

// served puts a request to the routes over a connection in time that is not real, with
// handle in the gateway's place, and returns what handle does with it and the client's end.
func served(t *testing.T, request string, handle http.HandlerFunc) net.Conn {
	t.Helper()
	store := storetest.NewMemory(t)
	c := newCore(DefaultConfig(), &plugin.Host{Store: store, Cluster: store, Log: slog.New(slog.DiscardHandler)})
	l := newHandedOn(gatewayAddr{})
	s := &http.Server{Handler: c.routes(handle, nil), ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug)}
	go s.Serve(l)
	client, server := net.Pipe()
	t.Cleanup(func() { c.stop(nil); client.Close(); s.Close() })
	if err := l.hand(t.Context(), server); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(client, request); err != nil {
		t.Fatal(err)
	}
	return client
}

func TestBodyThatDoesNotArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := make(chan error, 1)
		begun := time.Now()
		served(t, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nhalf", func(_ http.ResponseWriter, r *http.Request) {
			_, err := io.ReadAll(r.Body)
			failed <- err
		})
		if err := <-failed; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
		if took := time.Since(begun); took != bodyTimeout {
			t.Errorf("given up after %v, want %v", took, bodyTimeout)
		}
	})
}

func TestAnswerMayBeWaitedFor(t *testing.T) {
	const wait = 100 * bodyTimeout
	for what, request := range map[string]string{
		"a call":            "POST /v3/lock/lock HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}",
		"a call in chunks":  "POST /v3/lock/lock HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
		"a call of nothing": "POST /v3/lock/lock HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
	} {
		synctest.Test(t, func(t *testing.T) {
			c := served(t, request, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				select {
				case <-time.After(wait):
				case <-r.Context().Done():
					w.WriteHeader(http.StatusTeapot)
				}
			})
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil || res.StatusCode != 200 {
				t.Errorf("%s: %v, %v", what, res, err)
			}
		})
	}
}

func TestTalkIsNotTimed(t *testing.T) {
	for _, path := range []string{"/v3/watch", "/v3/lease/keepalive", "/v3beta/watch"} {
		synctest.Test(t, func(t *testing.T) {
			c := served(t, "POST "+path+" HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", func(w http.ResponseWriter, r *http.Request) {
				for {
					got := make([]byte, 2)
					if _, err := io.ReadFull(r.Body, got); err != nil {
						return
					}
					_, _ = w.Write(got)
					_ = http.NewResponseController(w).Flush()
				}
			})
			res, err := http.ReadResponse(bufio.NewReader(c), nil)
			if err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				got := make([]byte, 2)
				if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "{}" {
					t.Fatalf("%s, answer %d: %q, %v", path, i, got, err)
				}
				time.Sleep(10 * bodyTimeout)
				if _, err := io.WriteString(c, "2\r\n{}\r\n"); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

func TestAnswerThatNobodyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		wrote := make(chan error, 1)
		client := served(t, "POST /v3/kv/range HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\n{}", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, err := w.Write(make([]byte, 10*maxChunk))
			wrote <- err
		})
		for range 5 { // slowly, but it is read
			time.Sleep(chunkTimeout / 3) // and so two chunks within the time of one
			if _, err := io.ReadFull(client, make([]byte, maxChunk)); err != nil {
				t.Fatal(err)
			}
		}
		begun := time.Now()
		if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("write: %v", err)
		}
		if took := time.Since(begun); took > chunkTimeout {
			t.Errorf("given up after %v, want %v at most", took, chunkTimeout)
		}
	})
}

// A connection that is used again has its time anew.
func TestConnectionsAreUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := served(t, "", func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			_, _ = io.WriteString(w, "{}")
		})
		answers := bufio.NewReader(client)
		for i := range 3 {
			if _, err := io.WriteString(client, "POST /v3/kv/put HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := answers.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("request %d: %q, %v", i, line, err)
			}
			_, _ = answers.ReadString('\n')
			if _, err := io.WriteString(client, "{}"); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(answers, nil)
			if err != nil || res.StatusCode != 200 {
				t.Fatalf("request %d: %v, %v", i, res, err)
			}
			_, _ = io.Copy(io.Discard, res.Body)
			time.Sleep(2 * chunkTimeout)
		}
	})
}
