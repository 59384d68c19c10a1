package cli

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"herald/client"
	"herald/registry"
)

func (p *program) kvCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kv", Short: "Read, write, edit, watch, export and import keys"}
	r := remoteFlags(cmd)
	return group(cmd, p.kvGet(r), p.kvPut(r), p.kvDelete(r), p.kvList(r), p.kvTree(r), p.kvEdit(r), p.kvWatch(r), p.kvExport(r), p.kvImport(r))
}

// keyJSON is a key as --output json prints it. Values that are not UTF-8 text
// are in value_base64.
type keyJSON struct {
	Key         string  `json:"key"`
	Value       *string `json:"value,omitempty"`
	ValueBase64 string  `json:"value_base64,omitempty"`
	CreateIndex int64   `json:"create_index"`
	ModifyIndex int64   `json:"modify_index"`
	Flags       uint64  `json:"flags"`
}

func toKeyJSON(kv registry.KeyValue) keyJSON {
	k := keyJSON{Key: kv.Key, CreateIndex: kv.CreateRevision, ModifyIndex: kv.ModRevision, Flags: kv.Flags}
	if utf8.Valid(kv.Value) {
		text := string(kv.Value)
		k.Value = &text
	} else {
		k.ValueBase64 = base64.StdEncoding.EncodeToString(kv.Value)
	}
	return k
}

func toKeysJSON(kvs []registry.KeyValue) []keyJSON {
	all := make([]keyJSON, 0, len(kvs))
	for _, kv := range kvs {
		all = append(all, toKeyJSON(kv))
	}
	return all
}

// consistencyFlags gives a command the flags --stale and --consistent.
func consistencyFlags(cmd *cobra.Command) func() (client.Consistency, error) {
	stale := cmd.Flags().Bool("stale", false, "take what the asked server has, also without a leader")
	consistent := cmd.Flags().Bool("consistent", false, "see every write acknowledged before")
	return func() (client.Consistency, error) {
		switch {
		case *stale && *consistent:
			return "", &usageError{errors.New("--stale and --consistent contradict each other")}
		case *stale:
			return client.Stale, nil
		case *consistent:
			return client.Consistent, nil
		}
		return client.Default, nil
	}
}

func (p *program) kvGet(r *remote) *cobra.Command {
	cmd := &cobra.Command{Use: "get KEY", Short: "Print a key's value", Args: args(cobra.ExactArgs(1))}
	out := p.outputFlag(cmd)
	consistency := consistencyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, read, err := r.reader(consistency)
		if err != nil {
			return err
		}
		kv, _, err := c.KV().Get(cmd.Context(), a[0], read)
		if err != nil {
			return err
		}
		return out.print(toKeyJSON(kv), func() error {
			_, err := fmt.Fprintf(p.out, "%s\n", kv.Value)
			return err
		})
	}
	return cmd
}

func (p *program) kvPut(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "put KEY [VALUE]",
		Short: "Write a key; without VALUE, or with -, the value is read from standard input",
		Args:  args(cobra.RangeArgs(1, 2)),
	}
	flags := cmd.Flags().Uint64("flags", 0, "opaque number kept with the key")
	cas := cmd.Flags().Int64("cas", -1, "write only if the key's modify index is this; 0: only if it does not exist")
	ttl := cmd.Flags().Duration("ttl", 0, "delete the key after that long, by a lease made for it")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		if cmd.Flags().Changed("cas") && *cas < 0 {
			return &usageError{fmt.Errorf("--cas is %d: an index is 0 or more", *cas)}
		}
		value, err := p.valueArgument(cmd, a)
		if err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		o := client.PutOptions{Flags: *flags, TTL: *ttl}
		if !cmd.Flags().Changed("cas") {
			_, err = c.KV().Put(cmd.Context(), a[0], value, o)
			return err
		}
		res, err := c.KV().CompareAndSwap(cmd.Context(), a[0], value, uint64(*cas), o)
		if err == nil && !res.Written {
			err = fmt.Errorf("key %q was not written: its index is not %d", a[0], *cas)
		}
		return err
	}
	return cmd
}

func (p *program) valueArgument(cmd *cobra.Command, a []string) ([]byte, error) {
	if len(a) == 2 && a[1] != "-" {
		return []byte(a[1]), nil
	}
	value, err := io.ReadAll(cmd.InOrStdin())
	if err != nil {
		return nil, fmt.Errorf("value from standard input: %w", err)
	}
	return value, nil
}

func (p *program) kvDelete(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "delete KEY",
		Short: "Delete a key, or with --recurse every key that begins with it",
		Args:  args(cobra.ExactArgs(1)),
	}
	recurse := cmd.Flags().Bool("recurse", false, "delete every key that begins with KEY; \"\" is all of them")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		if *recurse {
			return c.KV().DeletePrefix(cmd.Context(), a[0])
		}
		return c.KV().Delete(cmd.Context(), a[0])
	}
	return cmd
}

func (p *program) kvList(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [PREFIX]",
		Short: "List the keys that begin with PREFIX",
		Args:  args(cobra.MaximumNArgs(1)),
	}
	out := p.outputFlag(cmd)
	consistency := consistencyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, read, err := r.reader(consistency)
		if err != nil {
			return err
		}
		kvs, _, err := c.KV().List(cmd.Context(), optional(a), read)
		if err != nil {
			return err
		}
		return out.table(toKeysJSON(kvs), "KEY\tBYTES\tINDEX\tFLAGS", func(line func(string, ...any)) {
			for _, kv := range kvs {
				line("%s\t%d\t%d\t%d", printable(kv.Key), len(kv.Value), kv.ModRevision, kv.Flags)
			}
		})
	}
	return cmd
}

func (p *program) kvWatch(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "watch KEY",
		Short: "Print a key's value now and whenever it changes, until interrupted",
		Args:  args(cobra.ExactArgs(1)),
	}
	recurse := cmd.Flags().Bool("recurse", false, "follow every key that begins with KEY")
	out := p.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		follow := c.KV().WatchKey
		if *recurse {
			follow = c.KV().Watch
		}
		before := map[string]int64{}
		for snapshot, err := range follow(cmd.Context(), a[0], client.ReadOptions{}) {
			if err != nil {
				return err
			}
			if err := printChanges(out, before, snapshot); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// change is a line of `kv watch`.
type change struct {
	keyJSON
	Deleted bool `json:"deleted,omitempty"`
}

// printChanges prints what a snapshot has that before had not, and what it lacks,
// and brings before up to date.
func printChanges(out *output, before map[string]int64, s client.Snapshot) error {
	now := make(map[string]bool, len(s.KVs))
	for _, kv := range s.KVs {
		now[kv.Key] = true
		if before[kv.Key] == kv.ModRevision {
			continue
		}
		before[kv.Key] = kv.ModRevision
		err := out.print(change{keyJSON: toKeyJSON(kv)}, func() error {
			_, err := fmt.Fprintf(out.w, "%s\t%s\n", printable(kv.Key), kv.Value)
			return err
		})
		if err != nil {
			return err
		}
	}
	for key := range before {
		if now[key] {
			continue
		}
		delete(before, key)
		err := out.print(change{keyJSON: keyJSON{Key: key}, Deleted: true}, func() error {
			_, err := fmt.Fprintf(out.w, "%s\t(deleted)\n", printable(key))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// printable quotes a key that would upset a terminal or a column.
func printable(key string) string {
	for _, r := range key {
		if r < ' ' || r == 0x7f || r == utf8.RuneError {
			return fmt.Sprintf("%q", key)
		}
	}
	return key
}

func optional(a []string) string {
	if len(a) == 0 {
		return ""
	}
	return a[0]
}
