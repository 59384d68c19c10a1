package grpcserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"

	"herald/registry"
)

// probe is a path that an orchestrator asks: one line for each check that it makes.
type probe struct {
	path   string
	checks []check
}

// check is one thing that must be so, with etcd's name for it.
type check struct {
	name string
	run  func(context.Context) error
}

// livez says whether this server works by itself: one that does not is to be started anew.
func (c *core) livez() *probe {
	return &probe{"/livez", []check{c.readsLocally()}}
}

// readyz says whether requests may be sent here.
func (c *core) readyz() *probe {
	return &probe{"/readyz", []check{
		{"data_corruption", func(context.Context) error {
			if slices.Contains(c.alarmsInForce(), pb.AlarmType_CORRUPT) {
				return errors.New("alarm activated: CORRUPT")
			}
			return nil
		}},
		c.readsLocally(),
		{"linearizable_read", func(ctx context.Context) error { return c.canRead(ctx, registry.Linearizable) }},
		{"non_learner", c.votes},
		{"member_list", c.listed},
	}}
}

// votes fails while this server has no vote: one that has just joined catches up first.
func (c *core) votes(context.Context) error {
	if m, ok := c.server(c.cluster.Status().ID); ok && m.Suffrage == registry.Voter {
		return nil
	}
	return errors.New("this server has no vote in the cluster")
}

// listed fails until the member list says where clients reach this server: they would replace what
// they know by a list without it.
func (c *core) listed(ctx context.Context) error {
	ms, err := c.members(ctx, registry.Stale)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(ms.all, func(m member) bool {
		return m.ID == c.member && slices.Equal(m.ClientURLs, c.record.ClientURLs)
	}) {
		return errors.New("the member list does not say yet where clients reach this server")
	}
	return nil
}

func (c *core) readsLocally() check {
	return check{"serializable_read", func(ctx context.Context) error { return c.canRead(ctx, registry.Stale) }}
}

// serve makes every check that is not excluded by ?exclude=NAME, which may come more than
// once. With ?verbose it says how each went also when all went well.
func (p *probe) serve(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	p.answer(w, r, query.Has("verbose"), slices.DeleteFunc(slices.Clone(p.checks), func(c check) bool {
		return slices.Contains(query["exclude"], c.name)
	}))
}

// serveCheck makes the one check that the path names.
func (p *probe) serveCheck(w http.ResponseWriter, r *http.Request) {
	i := slices.IndexFunc(p.checks, func(c check) bool { return c.name == r.PathValue("check") })
	if i < 0 {
		http.NotFound(w, r)
		return
	}
	p.answer(w, r, r.URL.Query().Has("verbose"), p.checks[i:i+1])
}

func (p *probe) answer(w http.ResponseWriter, r *http.Request, verbose bool, checks []check) {
	var lines strings.Builder
	failed := false
	for _, c := range checks {
		if err := c.run(r.Context()); err != nil {
			failed = true
			fmt.Fprintf(&lines, "[-]%s failed: %v\n", c.name, err)
		} else {
			fmt.Fprintf(&lines, "[+]%s ok\n", c.name)
		}
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	switch {
	case failed:
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintf(&lines, "%s check failed\n", strings.TrimPrefix(p.path, "/"))
	case verbose:
		lines.WriteString("ok\n")
	default:
		lines.Reset()
		lines.WriteString("ok\n")
	}
	_, _ = io.WriteString(w, lines.String()) // that nobody reads on is the client's business
}
