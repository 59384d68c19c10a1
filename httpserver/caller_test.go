package httpserver

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/plugin"
	"herald/registry/storetest"
)

// lastOrigin is where the newest change of a space came from.
func lastOrigin(t *testing.T, store *storetest.Memory, space registry.Space) registry.Origin {
	t.Helper()
	at := store.Status().Revisions[space]
	w, err := store.Watch(t.Context(), registry.WatchRequest{Space: space, KeyRange: registry.All(), StartRevision: at})
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	commits, err := w.Next(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	return commits[len(commits)-1].Origin
}

func TestHistorySaysWhoAndWhy(t *testing.T) {
	h := open(t)
	advertise := `{"Lease":"0","Node":{"Name":"web-1","Address":"10.0.0.7","Meta":{"try":"#"}}}`
	try := 0
	for _, c := range []struct {
		name, method, path, body string
		who, why                 string
		space                    registry.Space
		want                     registry.Origin
	}{
		{name: "a check's change", method: "PUT", path: "/v1/catalog/advertise", body: advertise, who: "agent:web-1", why: "check",
			space: registry.SpaceCatalog, want: registry.Origin{Who: "agent:web-1@127.0.0.1", Why: registry.ReasonCheck}},
		{name: "a registration", method: "PUT", path: "/v1/catalog/advertise", body: advertise, who: "agent:web-1", why: "agent",
			space: registry.SpaceCatalog, want: registry.Origin{Who: "agent:web-1@127.0.0.1", Why: registry.ReasonAgent}},
		{name: "nobody says", method: "PUT", path: "/v1/catalog/advertise", body: advertise,
			space: registry.SpaceCatalog, want: registry.Origin{Who: "http:127.0.0.1", Why: registry.ReasonAgent}},
		{name: "an odd name", method: "PUT", path: "/v1/catalog/advertise", body: advertise, who: "agent:%C3%BC%0A1", why: "session-end",
			space: registry.SpaceCatalog, want: registry.Origin{Who: "agent:ü\n1@127.0.0.1", Why: registry.ReasonSessionEnd}},
		{name: "a lease's end that is none", method: "PUT", path: "/v1/catalog/advertise", body: advertise, why: "lease-end",
			space: registry.SpaceCatalog, want: registry.Origin{Who: "http:127.0.0.1", Why: registry.ReasonAgent}},
		{name: "a key", method: "PUT", path: "/v1/kv/k", body: "#", who: "importer",
			space: registry.SpaceKV, want: registry.Origin{Who: "importer@127.0.0.1", Why: registry.ReasonClient}},
		{name: "not the system", method: "PUT", path: "/v1/kv/k", body: "#", why: "system",
			space: registry.SpaceKV, want: registry.Origin{Who: "http:127.0.0.1", Why: registry.ReasonClient}},
		{name: "not an operator", method: "DELETE", path: "/v1/kv/k", why: "operator",
			space: registry.SpaceKV, want: registry.Origin{Who: "http:127.0.0.1", Why: registry.ReasonClient}},
	} {
		try++
		req, err := http.NewRequest(c.method, h.base+c.path, strings.NewReader(strings.ReplaceAll(c.body, "#", string(rune('a'+try)))))
		if err != nil {
			t.Fatal(err)
		}
		if c.who != "" {
			req.Header.Set(api.HeaderIdentity, c.who)
		}
		if c.why != "" {
			req.Header.Set(api.HeaderReason, c.why)
		}
		if a := h.sendRequest(req); a.err != nil || a.status != 200 {
			t.Fatalf("%s: %d %s (%v)", c.name, a.status, a.body, a.err)
		}
		got := lastOrigin(t, h.store, c.space)
		if got.Who != c.want.Who || got.Why != c.want.Why {
			t.Errorf("%s: %q, %v; want %q, %v", c.name, got.Who, got.Why, c.want.Who, c.want.Why)
		}
	}
}

// What an agent's process passes on stays as it was said.
func TestForwardedRequestsKeepTheirCaller(t *testing.T) {
	server := open(t)
	agent := agentOf(t, server.base)
	req, err := http.NewRequest("PUT", agent.base+"/v1/kv/k", strings.NewReader("v"))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(api.HeaderIdentity, "importer")
	if a := agent.sendRequest(req); a.err != nil || a.status != 200 {
		t.Fatalf("%d %s (%v)", a.status, a.body, a.err)
	}
	if got := lastOrigin(t, server.store, registry.SpaceKV); got.Who != "importer@127.0.0.1" {
		t.Errorf("changed by %q", got.Who)
	}
}

func TestAdvertisementOfAnotherDatacenter(t *testing.T) {
	h := open(t)
	h.steps([]step{
		{"PUT", "/v1/catalog/advertise", `{"Lease":"0","Datacenter":"dc2","Node":{"Name":"web-1","Address":"a"}}`, 400, `Node "web-1" is of datacenter "dc2", and this server is of datacenter "dc1"…`},
		{"GET", "/v1/catalog/nodes", "", 200, "[]"},
		{"PUT", "/v1/catalog/advertise", `{"Lease":"0","Datacenter":"DC1","Node":{"Name":"web-1","Address":"a"}}`, 200, "true"},
		{"PUT", "/v1/catalog/advertise", `{"Lease":"0","Node":{"Name":"web-1","Address":"b"}}`, 200, "true"},
	})
	a := h.do("PUT", "/v1/catalog/advertise", `{"Lease":"0","Datacenter":"dc2","Node":{"Name":"web-1","Address":"a"}}`)
	if code := a.header.Get(api.HeaderError); code != "invalid" {
		t.Errorf("code %q", code)
	}
}

// takenStore has every node's name held by another.
type takenStore struct{ registry.Store }

func (s takenStore) Txn(ctx context.Context, t registry.Txn) (registry.TxnResult, error) {
	if t.Writes() {
		return registry.TxnResult{}, fmt.Errorf("%w: by ID 1", registry.ErrNodeTaken)
	}
	return s.Store.Txn(ctx, t)
}

func TestAdvertisementUnderANameThatIsTaken(t *testing.T) {
	h := open(t, func(_ *Config, host *plugin.Host) { host.Store = takenStore{host.Store} })
	a := h.do("PUT", "/v1/catalog/advertise", `{"Lease":"0","Node":{"Name":"web-1","Address":"a"}}`)
	if code := a.header.Get(api.HeaderError); a.status != http.StatusConflict || code != "node-taken" {
		t.Errorf("%d %q %s", a.status, code, a.body)
	}
}

// What a transaction cannot register since a node's name is taken is told as what else fails in it.
func TestTxnUnderANameThatIsTaken(t *testing.T) {
	h := open(t)
	h.ok("PUT", "/v1/catalog/register", `{"Node":"web-1","Address":"a"}`)
	h.door.surface.store = takenStore{h.store}
	const node, service = `{"Node":{"Verb":"set","Node":{"Node":"web-1","Address":"b"}}}`, `{"Service":{"Verb":"cas","Node":"web-1","Service":{"Service":"web"}}}`
	for body, at := range map[string]int{
		`[{"KV":{"Verb":"set","Key":"k"}},` + node + `,` + service + `]`:    1,
		`[{"Node":{"Verb":"get","Node":{"Node":"web-1"}}},` + service + `]`: 1,
		`[{"Check":{"Verb":"set","Check":{"Node":"web-1","Name":"c"}}}]`:    0,
	} {
		want := fmt.Sprintf(`{"Results":null,"Errors":[{"OpIndex":%d,"What":"node name is taken: by ID 1"}]}`, at)
		if a := h.do("PUT", "/v1/txn", body); a.status != http.StatusConflict || a.body != want {
			t.Errorf("%s: %d %s\nwant %s", body, a.status, a.body, want)
		}
	}
}
