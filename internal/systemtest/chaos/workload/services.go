package workload

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
	"herald/registry"
)

const (
	// serviceCount is how many services are looked up, beside one that is kept by a lease.
	serviceCount = 4
	// changingPerService is how many instances of each come and go, beside one that stays.
	changingPerService = 2
	// setupTime bounds how long the first registrations may take to be answered for by every
	// server.
	setupTime = 30 * time.Second
)

// instance is one instance of a service, on a node of its own.
type instance struct{ service, id, address string }

// instanceOf is the i-th instance of the n-th service. The one with i = 0 stays.
func instanceOf(n, i int) instance {
	return instance{
		service: fmt.Sprintf("svc-%d", n),
		id:      fmt.Sprintf("svc-%d-%d", n, i),
		address: fmt.Sprintf("192.0.2.%d", n*(changingPerService+1)+i+1),
	}
}

// beginServices registers the services, waits until every server's DNS answers for each,
// and starts the clients that ask for them and those that change them.
func (r *Running) beginServices() error {
	c := r.newClient()
	if c.nearWith(overHTTP) == nil {
		return errors.New("no server has an HTTP door to register services at")
	}
	if c.nearWith(overDNS) == nil {
		return errors.New("no server has a DNS door to ask")
	}
	ctx, cancel := context.WithTimeout(r.writing, setupTime)
	defer cancel()
	for n := range serviceCount {
		if err := c.establish(ctx, n); err != nil {
			return err
		}
	}
	for n := range serviceCount {
		r.write(1, func(ctx context.Context, c *client) { changeClient(ctx, c, n) })
	}
	if err := c.establishLeased(ctx); err != nil {
		return err
	}
	r.write(r.cfg.Clients, askClient)
	return nil
}

// establish registers a service's instances and waits until every server knows them.
func (c *client) establish(ctx context.Context, n int) error {
	for i := range 1 + changingPerService {
		for c.register(ctx, instanceOf(n, i), 0, false) != history.OK {
			if !sleep(ctx, 100*time.Millisecond) {
				return fmt.Errorf("%s could not be registered within %v", instanceOf(n, i).id, setupTime)
			}
		}
	}
	return c.awaitKnown(ctx, instanceOf(n, 0).service)
}

// establishLeased registers the last service: its one instance ends with a lease, which a
// client keeps alive from then on.
func (c *client) establishLeased(ctx context.Context) error {
	k := &leaseholder{client: c.newClient(), ttl: c.ttl(), prefix: leasePrefix + "service/"}
	i := instanceOf(serviceCount, 0)
	for !k.grant(ctx) || c.register(ctx, i, k.holder.Lease, false) != history.OK {
		if !sleep(ctx, 100*time.Millisecond) {
			return fmt.Errorf("%s could not be registered with a lease within %v", i.id, setupTime)
		}
	}
	c.writers.Go(func() { k.keep(c.writing, math.MaxInt64) })
	return c.awaitKnown(ctx, i.service)
}

// awaitKnown asks every server for a service until each knows it.
func (c *client) awaitKnown(ctx context.Context, service string) error {
	for _, s := range c.servers {
		for overDNS(s) {
			o := c.query(ctx, s, service, "A")
			if len(o.Answers) > 0 {
				c.rec.Append(o)
				break
			}
			if !sleep(ctx, 100*time.Millisecond) {
				return fmt.Errorf("server %s had no address of service %s within %v: %s %s", s.Name, service, setupTime, o.Code, o.Err)
			}
		}
	}
	return nil
}

// changeClient makes the instances of one service come and go, but for the first.
func changeClient(ctx context.Context, c *client, n int) {
	for c.rest(ctx, 10*c.cfg.Pause) {
		i := instanceOf(n, 1+c.rng.IntN(changingPerService))
		switch v := c.rng.IntN(100); {
		case v < 30:
			c.deregister(ctx, i)
		case v < 60:
			c.register(ctx, i, 0, true)
		default:
			c.register(ctx, i, 0, false)
		}
	}
}

// register writes an instance with a check that passes or, if it is sick, does not. With a
// lease it ends when that does.
func (c *client) register(ctx context.Context, i instance, lease registry.LeaseID, sick bool) history.Outcome {
	status := registry.Passing
	if sick {
		status = registry.Critical
	}
	path := "/v1/catalog/register"
	if lease != 0 {
		path += "?lease=" + api.LeaseID(lease).String()
	}
	return c.changeCatalog(ctx, path, api.CatalogRegistration{
		Node: i.id, Address: i.address,
		Service: &api.ServiceRegistration{ID: i.id, Service: i.service, Address: i.address, Port: 80},
		Check:   &api.CheckRegistration{CheckID: i.id, Name: "health", ServiceID: i.id, Status: string(status)},
	}, history.Registered{Service: i.service, Instance: i.id, Address: i.address, Lease: lease, Sick: sick})
}

func (c *client) deregister(ctx context.Context, i instance) {
	c.changeCatalog(ctx, "/v1/catalog/deregister", api.CatalogDeregistration{Node: i.id},
		history.Registered{Service: i.service, Instance: i.id, Address: i.address, Gone: true})
}

func (c *client) changeCatalog(ctx context.Context, path string, body any, o history.Registered) history.Outcome {
	s := c.nearWith(overHTTP)
	o.Span = c.ask(ctx, s, "http", c.cfg.Patience, func(ctx context.Context) error {
		_, err := s.send(ctx, http.MethodPut, path, body)
		return err
	})
	c.rec.Append(o)
	return o.Outcome
}

// askClient asks for services over DNS.
func askClient(ctx context.Context, c *client) {
	for c.rest(ctx, c.cfg.Pause) {
		kind := "A"
		if c.chance(50) {
			kind = "SRV"
		}
		o := c.query(ctx, c.nearWith(overDNS), instanceOf(c.rng.IntN(serviceCount+1), 0).service, kind)
		c.rec.Append(o)
	}
}
