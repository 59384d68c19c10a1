package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// dnsWork is a load of questions about services, made by dnsperf, which is a process of its own.
type dnsWork struct {
	label string
	// churns has the catalog change meanwhile, in peers with an HTTP API. What changing it costs by itself is measured first, and
	// taken off.
	churns bool
}

func (w dnsWork) name() string { return w.label }

func (w dnsWork) door() door { return doorDNS }

// sizes are how many questions are on their way at once.
func (w dnsWork) sizes(s *settings) []int { return s.clients }

// prepare fills a peer that has an HTTP API, and in any case sees that it answers what it is to answer.
func (w dnsWork) prepare(ctx context.Context, c *cluster, s *settings) error {
	if door := c.servers[0].http; door != "" {
		err := putAll(ctx, "http://"+door, s.dnsCatalog.nodes(), func(node int) (path, body string) {
			return "/v1/txn", s.dnsCatalog.transaction(node)
		})
		if err != nil {
			return err
		}
	}
	questions, err := os.Create(filepath.Join(c.dir, "questions"))
	if err != nil {
		return err
	}
	defer questions.Close()
	if err := s.dnsCatalog.writeQuestions(questions); err != nil {
		return err
	}
	return c.servers[0].answers(ctx, s.dnsCatalog)
}

// dnsUse is what a load of questions came to.
type dnsUse struct {
	before, after sample
	changes       int
	said          dnsperfSaid
}

func (w dnsWork) round(ctx context.Context, c *cluster, s *settings, clients int) (result, error) {
	server, questions := c.servers[0], filepath.Join(c.dir, "questions")
	changing := &changes{catalog: s.dnsCatalog, rate: s.changes, most: s.window + afterwards, next: c.changed}
	if w.churns && server.http != "" {
		changing.base = "http://" + server.http
	}
	if s.warm > 0 {
		if _, err := dnsperf(ctx, s, server.dns, questions, clients, s.warm); err != nil {
			return result{}, err
		}
	}
	var alone, asked dnsUse
	var err error
	if changing.base != "" {
		err = alone.measure(ctx, c, changing, func(ctx context.Context) error {
			if !pause(ctx, s.window) {
				return ctx.Err()
			}
			return nil
		})
	}
	if err == nil {
		err = asked.measure(ctx, c, changing, func(ctx context.Context) (err error) {
			asked.said, err = dnsperf(ctx, s, server.dns, questions, clients, s.window)
			return err
		})
	}
	c.changed = changing.next
	if err != nil {
		return result{}, err
	}
	r := w.result(alone, asked)
	if clients < dnsperfClients {
		r.notes = append(r.notes, fmt.Sprintf("dnsperf pauses by itself with fewer than %d clients: neither throughput nor processor time mean anything", dnsperfClients))
	}
	return r, nil
}

// measure samples a cluster before and after a load, beside which its catalog changes.
func (u *dnsUse) measure(ctx context.Context, c *cluster, changing *changes, load func(context.Context) error) (err error) {
	if u.before, err = takeSample(c.pids()); err != nil {
		return err
	}
	if u.changes, err = changing.during(ctx, load); err != nil {
		return err
	}
	u.after, err = takeSample(c.pids())
	return err
}

// result is what a round gave in which the catalog changed alone, if it did, and then was asked.
func (w dnsWork) result(alone, asked dnsUse) result {
	said := asked.said
	asked.after.generator += said.cpu
	r := result{figures: []figure{
		{"throughput", "queries/s", said.completed / said.took.Seconds()},
		{"latency mean", "ms", millis(said.mean)},
		{"latency max", "ms", millis(said.longest)},
		{"answer", "bytes", said.answerBytes},
	}}
	op := "query"
	if w.churns {
		change := alone.perChange()
		used := asked.after.servers - asked.before.servers
		op = "query and its share of changes"
		r.figures = append(r.figures,
			figure{"server CPU a query", "µs", micros(used-time.Duration(asked.changes)*change) / said.completed},
			figure{"server CPU a change, without queries", "µs", micros(change)},
			figure{"changes", "a second", float64(asked.changes) / asked.after.at.Sub(asked.before.at).Seconds()},
			figure{"changes without queries", "a second", float64(alone.changes) / max(alone.after.at.Sub(alone.before.at), 1).Seconds()})
	}
	r.figures = append(r.figures, asked.before.figures(asked.after, said.completed, op)...)
	r.figures = append(r.figures, figure{"failed", "queries", said.wrong}, figure{"lost", "queries", said.lost})
	if said.wrong > 0 || said.lost > 0 {
		r.notes = append(r.notes, fmt.Sprintf("%v queries were answered with an error, %v were not answered", said.wrong, said.lost))
	}
	return r
}

// perChange is the servers' processor time for a change; 0 if there was none.
func (u *dnsUse) perChange() time.Duration {
	if u.changes == 0 {
		return 0
	}
	return (u.after.servers - u.before.servers) / time.Duration(u.changes)
}

// resolver asks one server, over UDP.
func (s *server) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.dns)
	}}
}

// answers waits until a server has the right answers for some services of a catalog.
func (s *server) answers(ctx context.Context, n dnsCatalog) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	const some = 50
	for i := range some {
		// The first and the last one are among them.
		service := i * (n.services() - 1) / (some - 1)
		if err := s.until(ctx, func(ctx context.Context) error { return s.answersFor(ctx, service) }); err != nil {
			return fmt.Errorf("what %s answers is not what was registered: %w", s.name, err)
		}
	}
	return nil
}

func (s *server) answersFor(ctx context.Context, service int) error {
	var addresses, found []netip.Addr
	var records, got []net.SRV
	for i := range dnsInstances {
		a := dnsAddress(service*dnsInstances + i)
		addresses = append(addresses, a)
		records = append(records, net.SRV{Target: dnsTarget(a), Port: dnsPort, Priority: 1, Weight: 1})
	}
	found, err := s.resolver().LookupNetIP(ctx, "ip4", dnsService(service))
	if err != nil {
		return err
	}
	slices.SortFunc(found, netip.Addr.Compare)
	if !slices.Equal(found, addresses) {
		return fmt.Errorf("%s has the addresses %v, and should have %v", dnsService(service), found, addresses)
	}
	_, srv, err := s.resolver().LookupSRV(ctx, "", "", dnsService(service))
	if err != nil {
		return err
	}
	for _, r := range srv {
		got = append(got, *r)
	}
	slices.SortFunc(got, func(a, b net.SRV) int { return strings.Compare(a.Target, b.Target) })
	if !slices.Equal(got, records) {
		return fmt.Errorf("%s has the SRV records %v, and should have %v", dnsService(service), got, records)
	}
	return nil
}

// takesQuestions reports whether a server answers for the zone already.
func (s *server) takesQuestions(ctx context.Context) error {
	found, err := s.resolver().LookupNetIP(ctx, "ip4", "ns."+dnsDomain)
	if err == nil && len(found) == 0 {
		err = errors.New("the zone's server has no address")
	}
	return err
}
