package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"herald/client"
)

// statusInterrupted is what shells give a command that Ctrl-C ended.
const statusInterrupted = 130

func (p *program) watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch (--key KEY | --prefix PREFIX | --service NAME | --checks) [-- COMMAND [ARGUMENT]...]",
		Short: "Run a command now and after each change, or print what there is",
		Long: `Follow a key, a prefix, the health of a service or all checks, and run a command now and after each change.

The command reads the document, as the HTTP API answers it (null if there is nothing), from its standard input, and finds its index
in the environment as HERALD_INDEX. It is not run while it runs: changes that come meanwhile are one, with the newest document. One that
fails is told of, and run again with the next change. Without a command each document is printed, one a line.

With --once the first document is all, and the exit status is the command's.`,
		Args: args(func(cmd *cobra.Command, a []string) error {
			if len(a) > 0 && cmd.ArgsLenAtDash() != 0 {
				return fmt.Errorf("%q: put -- before the command", a[0])
			}
			return nil
		}),
	}
	r := remoteFlags(cmd)
	f := cmd.Flags()
	var w watched
	f.StringVar(&w.key, "key", "", "follow this key")
	f.StringVar(&w.prefix, "prefix", "", "follow the keys that begin with this; \"\" is all of them")
	f.StringVar(&w.service, "service", "", "follow the health of this service")
	f.BoolVar(&w.checks, "checks", false, "follow all checks")
	f.BoolVar(&w.passing, "passing", false, "of a service, only instances that are healthy; of checks, only those that pass")
	f.StringVar(&w.tag, "tag", "", "of a service, only instances with this tag")
	once := f.Bool("once", false, "end after the first")
	debounce := f.Duration("debounce", 0, "wait this long after a change for others")
	grace := f.Duration("grace", 5*time.Second, "how long the command may take to end after it was asked to")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		path, query, err := w.request(f.Changed)
		if err != nil {
			return &usageError{err}
		}
		if *debounce < 0 || *grace < 0 {
			return &usageError{errors.New("--debounce and --grace are not below 0")}
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		deal := p.printDocument
		if len(a) > 0 {
			deal = func(ctx context.Context, d client.Document) error {
				run := &child{argv: a, env: []string{fmt.Sprintf("HERALD_INDEX=%d", d.Index)}, stdin: bytes.NewReader(d.JSON), grace: *grace}
				return run.run(ctx)
			}
		}
		return p.follow(cmd.Context(), c, path, query, *once, *debounce, deal)
	}
	return cmd
}

// watched is what a watch is of.
type watched struct {
	key, prefix, service, tag string
	checks, passing           bool
}

// request is what to ask of the API.
func (w *watched) request(given func(flag string) bool) (path string, query url.Values, err error) {
	n := 0
	for _, flag := range []string{"key", "prefix", "service", "checks"} {
		if given(flag) {
			n++
		}
	}
	query = url.Values{}
	switch {
	case n != 1:
		return "", nil, errors.New("watch needs one of --key, --prefix, --service and --checks")
	case w.tag != "" && !given("service"):
		return "", nil, errors.New("--tag is of a service: give --service")
	case w.passing && !given("service") && !w.checks:
		return "", nil, errors.New("--passing is of a service or of checks: give --service or --checks")
	case given("key"):
		if w.key == "" {
			return "", nil, errors.New("--key names no key; --prefix \"\" is all keys")
		}
		return "/v1/kv/" + w.key, query, nil
	case given("prefix"):
		query.Set("recurse", "")
		return "/v1/kv/" + w.prefix, query, nil
	case w.checks && w.passing:
		return "/v1/health/state/passing", query, nil
	case w.checks:
		return "/v1/health/state/any", query, nil
	case given("checks"):
		return "", nil, errors.New("--checks=false follows nothing")
	case w.service == "" || strings.Contains(w.service, "/"):
		return "", nil, fmt.Errorf("--service is %q: it is the name of a service", w.service)
	}
	if w.passing {
		query.Set("passing", "1")
	}
	if w.tag != "" {
		query.Set("tag", w.tag)
	}
	return "/v1/health/service/" + w.service, query, nil
}

// follow deals with the document that a path answers, now and whenever it is another. It returns when ctx ends, or
// after the first for once.
func (p *program) follow(ctx context.Context, c *client.Client, path string, query url.Values, once bool, debounce time.Duration, deal func(context.Context, client.Document) error) error {
	var before json.RawMessage
	var read client.ReadOptions
	for first := true; ; first = false {
		d, err := next(ctx, c, path, query, read)
		if err == nil && debounce > 0 && !first {
			if err = pause(ctx, debounce); err == nil {
				d, err = next(ctx, c, path, query, client.ReadOptions{})
			}
		}
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		// An index below the one before means that the servers were restored: go on from there.
		read.Index = d.Index
		if d.JSON == nil {
			d.JSON = json.RawMessage("null")
		}
		if !first && bytes.Equal(d.JSON, before) {
			continue
		}
		before = d.JSON
		err = deal(ctx, d)
		switch {
		case once || err != nil && !isExit(err):
			return err
		case ctx.Err() != nil:
			return nil
		case err != nil:
			fmt.Fprintln(p.err, "herald: the command ended with", err)
		}
	}
}

func isExit(err error) bool {
	var exit *exitError
	return errors.As(err, &exit)
}

// next is the first document that a path answers, after the index that read may have.
func next(ctx context.Context, c *client.Client, path string, query url.Values, read client.ReadOptions) (client.Document, error) {
	for d, err := range c.Follow(ctx, path, query, read) {
		return d, err
	}
	return client.Document{}, ctx.Err()
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// printDocument prints a document on a line.
func (p *program) printDocument(_ context.Context, d client.Document) error {
	var line bytes.Buffer
	if err := json.Compact(&line, d.JSON); err != nil {
		return fmt.Errorf("the answer is no JSON: %w", err)
	}
	line.WriteByte('\n')
	_, err := p.out.Write(line.Bytes())
	return err
}
