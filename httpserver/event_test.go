package httpserver

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"herald/httpserver/api"
	"herald/registry"
)

func names(list []api.Event) string {
	var all []string
	for _, e := range list {
		all = append(all, e.Name+"="+string(e.Payload))
	}
	return strings.Join(all, " ")
}

func TestEventRefusals(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/event/fire/", "", 400, "Missing name"},
		{"PUT", "/v1/event/fire/e?node=(", "", 500, "Invalid node filter:…"},
		{"PUT", "/v1/event/fire/e?service=(", "", 500, "Invalid service filter:…"},
		{"PUT", "/v1/event/fire/e?service=a&tag=(", "", 500, "Invalid tag filter:…"},
		{"PUT", "/v1/event/fire/e?node=" + strings.Repeat("n", maxFilterBytes+1), "", 400, "The event's node filter has 1025 bytes…"},
		{"PUT", "/v1/event/fire/e?tag=a", "", 500, "Cannot provide tag filter without service filter"},
		{"PUT", "/v1/event/fire/" + strings.Repeat("e", 1025), "", 400, "*"},
		{"PUT", "/v1/event/fire/e", strings.Repeat("p", maxEventBytes+1), 413, "The event's payload has 4097 bytes…"},
		{"POST", "/v1/event/fire/e", "", 405, "method POST not allowed"},
		{"GET", "/v1/event/list?index=x", "", 400, "Invalid index"},
		{"GET", "/v1/event/list", "", 200, "[]"}, // none of these was fired
	})
}

// Who is concerned is decided by the node of whoever is asked, and what runs there.
func TestEventsConcernSome(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"web","Tags":["blue"]}}`)
	h.register(`{"Node":"agent-7","Address":"10.0.0.7","Service":{"Service":"db"}}`)
	for i, filter := range []string{"", "node=^n1$", "node=agent", "service=web", "service=web&tag=bl", "service=web&tag=red", "service=^d", "node=n1&service=db"} {
		h.ok("PUT", fmt.Sprintf("/v1/event/fire/e?%s", filter), fmt.Sprint(i))
	}
	h.ok("PUT", "/v1/event/fire/other", "o")
	var list []api.Event
	h.get("/v1/event/list", &list)
	if got := names(list); got != "e=0 e=1 e=3 e=4 other=o" {
		t.Errorf("a server's own: %s", got)
	}
	h.get("/v1/event/list?name=other", &list)
	if got := names(list); got != "other=o" {
		t.Errorf("of one name: %s", got)
	}
	a := h.doWith("GET", "/v1/event/list?name=e", "", api.HeaderForwarded, "agent-7")
	if got := a.body; strings.Count(got, `"ID"`) != 3 {
		t.Errorf("an agent's: %d %s", a.status, got)
	}
	if a := h.doWith("GET", "/v1/event/list?name=e", "", api.HeaderForwarded, "agent-8"); strings.Count(a.body, `"ID"`) != 2 {
		t.Errorf("of an agent that has no node: %d %s", a.status, a.body)
	}
}

func TestEventsAreInOrderAndBounded(t *testing.T) {
	h := open(t)
	const fired = keptEvents + 20
	for i := range fired {
		h.ok("PUT", "/v1/event/fire/e", fmt.Sprint(i))
	}
	var list []api.Event
	h.get("/v1/event/list", &list)
	if len(list) != keptEvents {
		t.Fatalf("%d events are kept, want %d", len(list), keptEvents)
	}
	for i, e := range list {
		if want := fmt.Sprint(i + fired - keptEvents); string(e.Payload) != want {
			t.Fatalf("event %d is %s, want %s", i, e.Payload, want)
		}
		if i > 0 && e.LTime <= list[i-1].LTime {
			t.Errorf("event %d has time %d after %d", i, e.LTime, list[i-1].LTime)
		}
	}
	// Many at once may leave some more, and the next takes them away.
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() { h.send("PUT", "/v1/event/fire/e", "") })
	}
	all.Wait()
	h.ok("PUT", "/v1/event/fire/e", "last")
	if h.get("/v1/event/list", &list); len(list) != keptEvents || string(list[len(list)-1].Payload) != "last" {
		t.Errorf("%d events are kept, the last %q", len(list), list[len(list)-1].Payload)
	}
}

// A query waits while the last event that it knows is still the last of its own.
func TestEventListBlocks(t *testing.T) {
	h := open(t)
	var list []api.Event
	if i := h.get("/v1/event/list?name=e", &list); i != 1 {
		t.Errorf("the index of no events is %d, want 1", i)
	}
	waiting := h.begin("/v1/event/list?name=e&index=1&wait=1m")
	h.ok("PUT", "/v1/event/fire/other", "")
	h.ok("PUT", "/v1/event/fire/e", "now")
	a := receive(t, waiting)
	if !strings.Contains(a.body, `"Payload":"bm93"`) || strings.Contains(a.body, "other") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	h.get("/v1/event/list?name=e", &list)
	if want := eventIndex(list); a.index() != want || want < 2 {
		t.Errorf("the index is %d, want %d", a.index(), want)
	}
	if b := h.ok("GET", fmt.Sprintf("/v1/event/list?name=e&index=%d&wait=10ms", a.index()), ""); b.index() != a.index() || b.body != a.body {
		t.Errorf("after the wait: %d %s", b.index(), b.body)
	}
}

// Clients make the index of an event's id themselves, to know which they have seen.
func TestEventIndexIsOfTheID(t *testing.T) {
	for id, want := range map[string]uint64{
		"00000000-0000-0001-0000-000000000002": 3,
		"ffffffff-ffff-ffff-0000-000000000000": 1<<64 - 1,
		"00000000-0000-0001-0000-000000000001": 1, // never 0
		"none":                                 1,
	} {
		if got := eventIndex([]api.Event{{ID: "x"}, {ID: id}}); got != want {
			t.Errorf("%s has index %d, want %d", id, got, want)
		}
	}
}

func TestEventsThatCannotBeRead(t *testing.T) {
	h := open(t)
	if _, err := registry.Put(t.Context(), h.store, registry.PutRequest{Space: registry.SpaceSession, Key: eventPrefix + "x", Value: []byte("{")}); err != nil {
		t.Fatal(err)
	}
	if a := h.do("GET", "/v1/event/list", ""); a.header.Get(api.HeaderError) != "corrupt" {
		t.Errorf("%d %s", a.status, a.body)
	}
}
