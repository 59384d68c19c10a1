package consulapi

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
)

// A check beside services, in every way that clients tell of it.
func TestAgentCheck(t *testing.T) {
	c := server(t)
	id, svc := name(t, "disk"), name(t, "web")
	check(t, c.Agent().ServiceRegister(&api.AgentServiceRegistration{Name: svc, Port: 80}))
	check(t, c.Agent().CheckRegister(&api.AgentCheckRegistration{
		ID: id, Name: "disk space", ServiceID: svc, Notes: "in percent", AgentServiceCheck: api.AgentServiceCheck{TTL: "30s", Status: api.HealthPassing},
	}))
	for _, told := range []struct {
		status string
		tell   func(id, note string) error
		note   string
	}{
		{api.HealthWarning, c.Agent().WarnTTL, "90%"},
		{api.HealthCritical, c.Agent().FailTTL, "100%"},
		{api.HealthPassing, c.Agent().PassTTL, "10%"},
	} {
		status := told.status
		check(t, told.tell(id, told.note))
		mine, err := c.Agent().Checks()
		check(t, err)
		if got := mine[id]; got == nil || got.Status != status || got.ServiceID != svc || got.Notes != "in percent" || got.Output != told.note {
			t.Errorf("%s: %+v", status, got)
		}
		aggregate, infos, err := c.Agent().AgentHealthServiceByName(svc)
		if err != nil || aggregate != status || len(infos) != 1 {
			t.Errorf("the service is %s, want %s: %+v, %v", aggregate, status, infos, err)
		}
		eventually(t, "the check in the catalog", func() error {
			all, _, err := server(t).Health().Checks(svc, nil)
			if err != nil || len(all) != 1 || all[0].Status != status {
				return fmt.Errorf("%v, %v", all, err)
			}
			return nil
		})
	}
	filtered, err := c.Agent().ChecksWithFilter(fmt.Sprintf("CheckID == %q and Status == passing", id))
	if err != nil || len(filtered) != 1 {
		t.Errorf("filtered: %v, %v", filtered, err)
	}
	one, meta, err := c.Agent().Service(svc, nil)
	if err != nil || one.Port != 80 || meta.LastContentHash == "" {
		t.Errorf("the service: %+v, %+v, %v", one, meta, err)
	}
	check(t, c.Agent().CheckDeregister(id))
	if mine, err := c.Agent().Checks(); err != nil || mine[id] != nil {
		t.Errorf("after its end: %v, %v", mine[id], err)
	}
	if err := c.Agent().PassTTL(id, ""); err == nil {
		t.Error("a check that is gone was passed")
	}
	check(t, c.Agent().ServiceDeregister(svc))
}

// A registration that replaces the checks of the one before leaves those that it brings.
func TestAgentReplacesChecks(t *testing.T) {
	c := server(t)
	svc := name(t, "web")
	reg := &api.AgentServiceRegistration{Name: svc, Checks: api.AgentServiceChecks{{CheckID: svc + "-a", TTL: "30s"}, {CheckID: svc + "-b", TTL: "30s"}}}
	check(t, c.Agent().ServiceRegister(reg))
	reg.Checks = reg.Checks[1:]
	check(t, c.Agent().ServiceRegister(reg))
	has := func() (ids []string) {
		t.Helper()
		all, err := c.Agent().ChecksWithFilter(fmt.Sprintf("ServiceID == %q", svc))
		check(t, err)
		for id := range all {
			ids = append(ids, id)
		}
		slices.Sort(ids)
		return ids
	}
	if got := has(); !slices.Equal(got, []string{svc + "-a", svc + "-b"}) {
		t.Errorf("after a registration beside it: %v", got)
	}
	check(t, c.Agent().ServiceRegisterOpts(reg, api.ServiceRegisterOpts{ReplaceExistingChecks: true}))
	if got := has(); !slices.Equal(got, []string{svc + "-b"}) {
		t.Errorf("after one that replaces: %v", got)
	}
	check(t, c.Agent().ServiceDeregister(svc))
}

func TestNodeMaintenance(t *testing.T) {
	c := server(t)
	node, err := c.Agent().NodeName()
	check(t, err)
	in := func(want bool) {
		t.Helper()
		eventually(t, "maintenance", func() error {
			all, _, err := server(t).Health().Node(node, nil)
			if err != nil {
				return err
			}
			got := slices.ContainsFunc(all, func(c *api.HealthCheck) bool {
				return c.CheckID == api.NodeMaint && c.Status == api.HealthCritical && c.Notes == "a new disk"
			})
			if got != want {
				return fmt.Errorf("in maintenance: %v, want %v", got, want)
			}
			return nil
		})
	}
	check(t, c.Agent().EnableNodeMaintenance("a new disk"))
	in(true)
	check(t, c.Agent().DisableNodeMaintenance())
	in(false)
}

// What an agent tells of its process.
func TestAgentProcess(t *testing.T) {
	c := server(t)
	check(t, c.Agent().Reload())
	version, err := c.Agent().Version()
	if err != nil || version["HumanVersion"] == nil {
		t.Errorf("version: %v, %v", version, err)
	}
	host, err := c.Agent().Host()
	if err != nil || host["Memory"] == nil || host["CPU"] == nil {
		t.Errorf("host: %v, %v", host, err)
	}
	metrics, err := c.Agent().Metrics()
	if err != nil || len(metrics.Gauges) == 0 || len(metrics.Counters) == 0 {
		t.Errorf("metrics: %+v, %v", metrics, err)
	}
	stop := make(chan struct{})
	defer close(stop)
	lines, err := c.Agent().Monitor("debug", stop, nil)
	check(t, err)
	for end := time.After(10 * time.Second); ; {
		check(t, c.Agent().Reload()) // which is logged
		select {
		case line, ok := <-lines:
			if !ok || line == "" {
				t.Errorf("the log said %q, %v", line, ok)
			}
			return
		case <-end:
			t.Fatal("the log says nothing")
		case <-time.After(50 * time.Millisecond):
		}
	}
}
