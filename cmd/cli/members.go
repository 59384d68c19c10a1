package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"herald/client"
	"herald/httpserver/api"
	"herald/registry"
)

func (p *program) membersCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "members",
		Short: "List the servers of the cluster: who leads, who is behind, how many may fail",
		Long: `List the servers of the cluster: who leads, who is behind, how many may fail.

The asked server asks all others, for a second at most. That needs no leader. LAG is
how many log entries a server is behind the leader.`,
		Args: args(cobra.NoArgs),
	}
	r := remoteFlags(cmd)
	out := p.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		ctx, cancel := once(cmd)
		defer cancel()
		m, err := c.Members(ctx)
		if err != nil {
			return err
		}
		err = out.table(m, "NAME\tID\tADDRESS\tSTATUS\tROLE\tVOTE\tTERM\tLAST INDEX\tLAG\tVERSION", func(line func(string, ...any)) {
			for i := range m.Members {
				memberLine(&m.Members[i], line)
			}
		})
		if err == nil && out.format == "text" {
			fmt.Fprint(p.out, "\n"+summary(&m))
		}
		return err
	}
	cmd.AddCommand(p.membersRemove(r), p.membersTransfer(r))
	return cmd
}

func memberLine(m *registry.Member, line func(string, ...any)) {
	role := "follower"
	if m.Leader {
		role = "leader"
	}
	if !m.Alive { // what it would say is not known
		line("%s\t%s\t%s\tdead\t%s\t%s\t-\t-\t-\t-", nameOf(m), m.ID, m.Address, role, vote(m))
		return
	}
	line("%s\t%s\t%s\talive\t%s\t%s\t%d\t%d\t%d\t%s", nameOf(m), m.ID, m.Address, role, vote(m), m.Term, m.LastIndex, m.Lag, orDash(m.Version))
}

func vote(m *registry.Member) string {
	if m.Suffrage == registry.Voter {
		return "yes"
	}
	return "not yet"
}

// nameOf is what people call a server, as far as that is known.
func nameOf(m *registry.Member) string { return orDash(m.Name) }

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// summary says in words what the table comes to.
func summary(m *api.Members) string {
	var b strings.Builder
	leader := "leader: none is known to the asked server"
	for i := range m.Members {
		if m.Members[i].Leader {
			leader = fmt.Sprintf("leader: %s, term %d", called(&m.Members[i]), m.Status.Term)
		}
	}
	fmt.Fprintln(&b, leader)
	t := m.Tolerance
	counts := fmt.Sprintf("(%s, %d alive, quorum %d)", count(t.Voters, "voter"), t.Alive, t.Quorum)
	switch {
	case t.Voters == 0:
		fmt.Fprintln(&b, "the asked server is part of no cluster yet; its log says what it waits for")
	case t.Failures < 0:
		fmt.Fprintf(&b, "writes have stopped %s: %s must come back\n", counts, count(-t.Failures, "voter"))
	default:
		fmt.Fprintf(&b, "survives %s now %s\n", count(t.Failures, "failure"), counts)
	}
	if t.Failures == 0 && t.Voters > 1 {
		fmt.Fprintln(&b, "warning: if one more voter fails, writes stop")
	}
	if t.Even {
		fmt.Fprintf(&b, "warning: %d voters survive no more failures than %d: add one, or remove one\n", t.Voters, t.Voters-1)
	}
	for i := range m.Members {
		if e := m.Members[i].Error; e != "" {
			fmt.Fprintf(&b, "%s: %s\n", called(&m.Members[i]), e)
		}
	}
	return b.String()
}

// called is how a server is named in a sentence.
func called(m *registry.Member) string {
	if m.Name == "" {
		return m.ID
	}
	return m.Name
}

// count spells a number of things.
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return strconv.Itoa(n) + " " + what + "s"
}

func (p *program) membersRemove(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "remove ID|NAME",
		Short: "Take a server out of the cluster, alive or not",
		Long: `Take a server out of the cluster, alive or not.

What would leave the cluster without a quorum is refused. A server that is started again
after it was removed joins anew if its settings say join, and stays out otherwise.`,
		Args: args(cobra.ExactArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			return p.withMember(cmd, r, words[0], func(ctx context.Context, c *client.Client, m *registry.Member) error {
				if err := c.Operator().Remove(ctx, m.ID); err != nil {
					return err
				}
				fmt.Fprintf(p.out, "removed %s (%s)\n", called(m), m.ID)
				return nil
			})
		},
	}
}

func (p *program) membersTransfer(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "transfer [ID|NAME]",
		Short: "Hand leadership to another server; without a name to the one that is closest behind",
		Args:  args(cobra.MaximumNArgs(1)),
		RunE: func(cmd *cobra.Command, words []string) error {
			transfer := func(ctx context.Context, c *client.Client, id string) error {
				if err := c.Operator().Transfer(ctx, id); err != nil {
					return err
				}
				m, err := c.Members(ctx)
				if err != nil {
					return err
				}
				for i := range m.Members {
					if m.Members[i].Leader {
						fmt.Fprintf(p.out, "%s leads now, term %d\n", called(&m.Members[i]), m.Status.Term)
					}
				}
				return nil
			}
			if len(words) == 1 {
				return p.withMember(cmd, r, words[0], func(ctx context.Context, c *client.Client, m *registry.Member) error {
					return transfer(ctx, c, m.ID)
				})
			}
			c, err := r.client()
			if err != nil {
				return err
			}
			ctx, cancel := once(cmd)
			defer cancel()
			return transfer(ctx, c, "")
		},
	}
}

// withMember calls f with the server of that id or name.
func (p *program) withMember(cmd *cobra.Command, r *remote, word string, f func(context.Context, *client.Client, *registry.Member) error) error {
	c, err := r.client()
	if err != nil {
		return err
	}
	ctx, cancel := once(cmd)
	defer cancel()
	all, err := c.Members(ctx)
	if err != nil {
		return err
	}
	m, err := findMember(all.Members, word)
	if err != nil {
		return err
	}
	return f(ctx, c, m)
}

// findMember finds a server by its id, or by its name where only one has it.
func findMember(all []registry.Member, word string) (*registry.Member, error) {
	var named []*registry.Member
	for i := range all {
		switch m := &all[i]; word {
		case "": // not the name of one whose name is not known
		case m.ID:
			return m, nil
		case m.Name:
			named = append(named, m)
		}
	}
	switch len(named) {
	case 1:
		return named[0], nil
	case 0:
		return nil, fmt.Errorf("%w: %q is neither the id nor the name of one; see herald members", registry.ErrMemberNotFound, word)
	}
	ids := make([]string, len(named))
	for i, m := range named {
		ids[i] = m.ID
	}
	return nil, fmt.Errorf("%d servers are called %q: give the id of one of them, %s", len(named), word, strings.Join(ids, " or "))
}
