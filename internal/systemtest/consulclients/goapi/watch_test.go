package consulapi

import (
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/api/watch"
)

// The watch plans that programs run see the change they wait for.
func TestWatchPlans(t *testing.T) {
	svc, key := name(t, "svc"), name(t, "key")
	for kind, tc := range map[string]struct {
		params map[string]any
		change func(c *api.Client) error
		seen   func(v any) bool
	}{
		"key": {
			map[string]any{"type": "key", "key": key},
			func(c *api.Client) error {
				_, err := c.KV().Put(&api.KVPair{Key: key, Value: []byte("v")}, nil)
				return err
			},
			func(v any) bool { kv, ok := v.(*api.KVPair); return ok && kv != nil && string(kv.Value) == "v" },
		},
		"keyprefix": {
			map[string]any{"type": "keyprefix", "prefix": key + "-p/"},
			func(c *api.Client) error {
				_, err := c.KV().Put(&api.KVPair{Key: key + "-p/a", Value: []byte("v")}, nil)
				return err
			},
			func(v any) bool { kvs, ok := v.(api.KVPairs); return ok && len(kvs) == 1 },
		},
		"service": {
			map[string]any{"type": "service", "service": svc},
			func(c *api.Client) error {
				_, err := c.Catalog().Register(&api.CatalogRegistration{Node: svc, Address: "10.6.6.6", Service: &api.AgentService{Service: svc}}, nil)
				return err
			},
			func(v any) bool { all, ok := v.([]*api.ServiceEntry); return ok && len(all) == 1 },
		},
		"services": {
			map[string]any{"type": "services"},
			func(c *api.Client) error {
				_, err := c.Catalog().Register(&api.CatalogRegistration{Node: svc + "2", Address: "10.6.6.7", Service: &api.AgentService{Service: svc + "2"}}, nil)
				return err
			},
			func(v any) bool { all, ok := v.(map[string][]string); _, there := all[svc+"2"]; return ok && there },
		},
		"checks": {
			map[string]any{"type": "checks", "state": "critical"},
			func(c *api.Client) error {
				_, err := c.Catalog().Register(&api.CatalogRegistration{Node: svc + "3", Address: "10.6.6.8",
					Check: &api.AgentCheck{Node: svc + "3", CheckID: svc + "3", Name: "c", Status: api.HealthCritical}}, nil)
				return err
			},
			func(v any) bool {
				all, ok := v.([]*api.HealthCheck)
				for _, c := range all {
					if ok && c.CheckID == svc+"3" {
						return true
					}
				}
				return false
			},
		},
		"nodes": {
			map[string]any{"type": "nodes"},
			func(c *api.Client) error {
				_, err := c.Catalog().Register(&api.CatalogRegistration{Node: svc + "4", Address: "10.6.6.9"}, nil)
				return err
			},
			func(v any) bool {
				all, ok := v.([]*api.Node)
				return ok && slices.ContainsFunc(all, func(n *api.Node) bool { return n.Node == svc+"4" })
			},
		},
		"event": {
			map[string]any{"type": "event", "name": svc},
			func(c *api.Client) error {
				_, _, err := c.Event().Fire(&api.UserEvent{Name: svc, Payload: []byte("p")}, nil)
				return err
			},
			func(v any) bool {
				all, ok := v.([]*api.UserEvent)
				return ok && len(all) == 1 && string(all[0].Payload) == "p"
			},
		},
	} {
		t.Run(kind, func(t *testing.T) {
			plan, err := watch.Parse(tc.params)
			check(t, err)
			seen := make(chan struct{}, 1)
			plan.Handler = func(_ uint64, v any) {
				if tc.seen(v) {
					select {
					case seen <- struct{}{}:
					default:
					}
				}
			}
			ended := make(chan error)
			c := server(t)
			go func() { ended <- plan.RunWithClientAndHclog(c, nil) }()
			time.Sleep(100 * time.Millisecond)
			check(t, tc.change(server(t)))
			select {
			case <-seen:
			case <-time.After(10 * time.Second):
				t.Error("it never saw the change")
			}
			plan.Stop()
			check(t, <-ended)
		})
	}
}
