package httpserver

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// sse reads a stream of server-sent events as a browser does.
type sse struct {
	t      *testing.T
	header http.Header
	lines  *bufio.Scanner
	// last is where the client would resume.
	last  string
	beats int
	close func()
}

// events opens a stream.
func (h *harness) events(t *testing.T, query, last string) *sse {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", h.base+"/v1/watch?"+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	if last != "" {
		req.Header.Set("Last-Event-ID", last)
	}
	res, err := h.http.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	if res.StatusCode != http.StatusOK || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("?%s: %d, %s", query, res.StatusCode, res.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 4<<20)
	return &sse{t: t, header: res.Header, lines: lines, close: cancel}
}

// next returns the next event's name and data, "" at the end of the stream.
func (e *sse) next() (event, data string) {
	for e.lines.Scan() {
		field, value, _ := strings.Cut(e.lines.Text(), ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case e.lines.Text() == "":
			if data != "" {
				return event, data
			}
			event = ""
		case field == "":
			e.beats++
		case field == "id":
			e.last = value
		case field == "event":
			event = value
		case field == "data":
			data += value
		}
	}
	return "", ""
}

// want reads an event, and compares it and where the client would resume from then on.
func (e *sse) want(event, data, last string) {
	e.t.Helper()
	gotEvent, gotData := e.next()
	prefix, open := strings.CutSuffix(data, "…")
	if gotEvent != event || gotData != data && !(open && strings.HasPrefix(gotData, prefix)) || last != "*" && e.last != last {
		e.t.Fatalf("got event %q, resume at %s, %s\nwant %q, resume at %s, %s", gotEvent, e.last, gotData, event, last, data)
	}
}

const (
	watchA1 = `{"LockIndex":0,"Key":"w/a","Flags":0,"Value":"1","CreateIndex":2,"ModifyIndex":2}`
	watchA2 = `{"LockIndex":0,"Key":"w/a","Flags":0,"Value":"2","CreateIndex":2,"ModifyIndex":4}`
	watchB  = `{"LockIndex":0,"Key":"w/b","Flags":0,"Value":"1","CreateIndex":4,"ModifyIndex":4}`
)

// watched makes revisions 2 to 5: w/a, one elsewhere, w/a with w/b, and w/a deleted.
func watched(h *harness) {
	h.ok("PUT", "/v1/kv/w/a", "1")
	h.ok("PUT", "/v1/kv/elsewhere", "1")
	h.ok("PUT", "/v1/txn", `[{"KV":{"Verb":"set","Key":"w/a","Value":"Mg=="}},{"KV":{"Verb":"set","Key":"w/b","Value":"MQ=="}}]`)
	h.ok("DELETE", "/v1/kv/w/a", "")
}

func TestWatchKeys(t *testing.T) {
	server := open(t)
	for _, via := range []*harness{server, agentOf(t, server.base)} {
		e := via.events(t, "prefix=w/&text", "")
		if via == server {
			e.want("state", `[]`, "1")
			watched(server)
			e.want("put", watchA1, "2")
			e.want("put", watchA2, "2") // half of a commit is none
			e.want("put", watchB, "4")
			e.want("delete", `{"Key":"w/a","ModifyIndex":5}`, "5")
		} else {
			e.want("state", "["+watchB+"]", "5")
		}
		// What was received is not sent again; Last-Event-ID goes before ?index=.
		e = via.events(t, "prefix=w/&text&index=1", "4")
		e.want("delete", `{"Key":"w/a","ModifyIndex":5}`, "5")
		e = via.events(t, "key=w/a&text&index=2", "")
		e.want("put", watchA2, "4")
		e.want("delete", `{"Key":"w/a","ModifyIndex":5}`, "5")
		// Another store's id.
		e = via.events(t, "prefix=w/&text", "99")
		e.want("reset", `{"Message":"the id to resume from is above…`, "")
		e.want("state", "["+watchB+"]", "5")
		if e.header.Get(api.HeaderIndex) != "5" || e.header.Get("Cache-Control") != "no-store" {
			t.Errorf("headers are %v", e.header)
		}
	}
}

func TestWatchRefusals(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"GET", "/v1/watch", "", 400, "Missing what to watch:…"},
		{"GET", "/v1/watch?key=", "", 400, "Missing what to watch:…"},
		{"GET", "/v1/watch?key=a&service=b", "", 400, "Conflicting flags: key&service"},
		{"GET", "/v1/watch?key=a&index=x", "", 400, "Invalid index"},
		{"GET", "/v1/watch?service=a&filter=x", "", 500, "Failed to create boolean expression evaluator…"},
	})
	if a := h.doWith("GET", "/v1/watch?key=a", "", "Last-Event-ID", "x"); a.status != 400 {
		t.Errorf("Last-Event-ID x: %d %s", a.status, a.body)
	}
}

// What history cannot tell any more comes as what there is.
func TestWatchCompacted(t *testing.T) {
	h := open(t)
	watched(h)
	if err := h.store.Compact(t.Context(), registry.SpaceKV, 4); err != nil {
		t.Fatal(err)
	}
	e := h.events(t, "prefix=w/&text", "2")
	e.want("reset", `{"Message":"required revision has been compacted…`, "")
	e.want("state", "["+watchB+"]", "5")
	h.ok("DELETE", "/v1/kv/w/b", "")
	e.want("delete", `{"Key":"w/b","ModifyIndex":6}`, "6")
}

func TestWatchService(t *testing.T) {
	server := open(t)
	agent := agentOf(t, server.base)
	e := agent.events(t, "service=web&passing", "")
	e.want("service", "[]", "*")
	server.register(`{"Node":"n","Address":"a","Service":{"Service":"web"},"Check":{"CheckID":"c","ServiceID":"web","Status":"passing"}}`)
	e.want("service", `[{"Node":{…`, "*")
	seen := e.last
	server.register(`{"Node":"n","Address":"a","Check":{"CheckID":"c","ServiceID":"web","Status":"critical"}}`)
	e.want("service", "[]", "*")
	now := e.last
	server.events(t, "service=web", seen).want("service", `[{"Node":{…`, now)
	e = server.events(t, "service=web", "1000")
	e.want("reset", `{"Message":"the id to resume from is above…`, "*")
	e.want("service", `[{"Node":{…`, now)
	// Another service is none of its business: the next is the removal.
	server.register(`{"Node":"n","Address":"a","Service":{"Service":"db"}}`)
	server.ok("PUT", "/v1/catalog/deregister", `{"Node":"n","ServiceID":"web"}`)
	e.want("service", "[]", "*")
}

// A stream that has nothing to say says so, and how far the client has come.
func TestWatchHeartbeat(t *testing.T) {
	h := open(t)
	h.door.surface.pace.beat = 10 * time.Millisecond
	e := h.events(t, "key=w/a&text", "")
	e.want("state", "[]", "1")
	h.ok("PUT", "/v1/kv/elsewhere", "1")
	until(t, "a heartbeat says that revision 2 has gone by", func() bool { return e.lines.Scan() && e.lines.Text() == "id: 2" })
	s := h.events(t, "service=web", "1000000")
	s.want("reset", `{…`, "*")
	s.want("service", "[]", "*")
	until(t, "a heartbeat comes", func() bool { return s.lines.Scan() && s.lines.Text() == ":" })
}

// Streams end with the door, and count as queries that wait until they do.
func TestWatchDrains(t *testing.T) {
	server := open(t)
	agent := agentOf(t, server.base)
	direct, through := server.events(t, "prefix=", ""), agent.events(t, "prefix=", "")
	direct.want("state", "[]", "1")
	through.want("state", "[]", "1")
	if n := agent.door.surface.metrics.blocked.Load(); n != 1 {
		t.Errorf("the agent counts %d queries that wait", n)
	}
	for _, h := range []*harness{agent, server} {
		if err := h.stop(); err != nil {
			t.Error(err)
		}
		if n := h.door.surface.metrics.blocked.Load(); n != 0 {
			t.Errorf("%d queries wait at a door that has stopped", n)
		}
	}
	if event, _ := direct.next(); event != "" || direct.lines.Err() != nil {
		t.Errorf("the stream ended with %q, %v", event, direct.lines.Err())
	}
	if event, _ := through.next(); event != "" {
		t.Errorf("the agent's stream ended with %q", event)
	}
}

// A client that does not read holds a connection for so long and no longer.
func TestWatchOfASlowClient(t *testing.T) {
	h := open(t)
	h.door.surface.pace.patience = 50 * time.Millisecond
	c, err := net.Dial("tcp", strings.TrimPrefix(h.base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Write([]byte("GET /v1/watch?prefix= HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	blocked := &h.door.surface.metrics.blocked
	until(t, "the client watches", func() bool { return blocked.Load() == 1 })
	big := strings.Repeat("x", 500<<10)
	until(t, "the client is given up", func() bool {
		h.ok("PUT", "/v1/kv/big", big)
		big = big[1:]
		return blocked.Load() == 0
	})
}
