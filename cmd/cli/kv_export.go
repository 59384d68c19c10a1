package cli

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"herald/registry"
)

// exportedKey is a key in an exported file, in the form of `consul kv export`: files carry over both ways.
type exportedKey struct {
	Key   string `json:"key"`
	Flags uint64 `json:"flags"`
	Value []byte `json:"value"`
}

func (p *program) kvExport(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "export [PREFIX]",
		Short: "Print the keys that begin with PREFIX, for kv import, here or in Consul",
		Long: `Print the keys that begin with PREFIX as a JSON list of key, flags and value (in base64).

"herald kv import" reads it, and so does "consul kv import". It is one state: every key as of the same moment.`,
		Args: args(cobra.MaximumNArgs(1)),
	}
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
		all := make([]exportedKey, 0, len(kvs))
		for _, kv := range kvs {
			if !utf8.ValidString(kv.Key) {
				return fmt.Errorf("key %q cannot be exported: its name is not UTF-8, which JSON has to be; export other prefixes", kv.Key)
			}
			value := kv.Value
			if value == nil {
				value = []byte{} // "" and not null, which is what the other side writes
			}
			all = append(all, exportedKey{Key: kv.Key, Flags: kv.Flags, Value: value})
		}
		e := json.NewEncoder(p.out)
		e.SetEscapeHTML(false)
		e.SetIndent("", "\t")
		return e.Encode(all)
	}
	return cmd
}

func (p *program) kvImport(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Write the keys of a file that kv export wrote, here or in Consul; - is standard input",
		Long: `Write the keys of a file that "herald kv export" or "consul kv export" wrote; - is standard input.

The file is read whole before anything is written. Keys are written in order, in transactions of up to 128; what is there already is not written
again, so that an import that was cut short can be repeated.`,
		Args: args(cobra.ExactArgs(1)),
	}
	prefix := cmd.Flags().String("prefix", "", "put this before every key")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		name := strings.TrimPrefix(a[0], "@")
		b, err := readFile(cmd, name)
		if err != nil {
			return err
		}
		kvs, err := parseExport(b, *prefix)
		if err != nil {
			return fmt.Errorf("%s: %w; nothing was written", name, err)
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		n, err := c.KV().PutAll(cmd.Context(), kvs)
		if err != nil {
			return fmt.Errorf("%d of %d keys are written; the import can be repeated: %w", n, len(kvs), err)
		}
		_, err = fmt.Fprintf(p.err, "imported %d keys\n", n)
		return err
	}
	return cmd
}

// parseExport reads an exported file. Fields that are not known, such as Consul's namespaces, are passed over.
func parseExport(b []byte, prefix string) ([]registry.KeyValue, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	var all []exportedKey
	if err := d.Decode(&all); err != nil {
		return nil, fmt.Errorf("not a list of keys as kv export writes it: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("something follows the list of keys, at byte %d", d.InputOffset())
	}
	kvs := make([]registry.KeyValue, len(all))
	for i, k := range all {
		if k.Key == "" {
			return nil, fmt.Errorf("entry %d names no key", i+1)
		}
		kvs[i] = registry.KeyValue{Key: prefix + k.Key, Flags: k.Flags, Value: k.Value}
	}
	return kvs, nil
}
