package cli

import (
	"cmp"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"herald/client"
)

// documentFormats are what keys can be rendered as, by the endings of files.
var documentFormats = map[string]string{
	".json": "json", ".yaml": "yaml", ".yml": "yaml", ".toml": "toml", ".env": "env", ".properties": "properties",
}

func (p *program) configGetCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "get PREFIX",
		Short: "Print the keys below PREFIX as one document",
		Args:  args(cobra.ExactArgs(1)),
	}
	r := remoteFlags(cmd)
	format := cmd.Flags().String("format", "json", "json, yaml, toml, env or properties")
	typed := cmd.Flags().Bool("typed", false, "numbers and booleans as such, where the format has them; else all is text")
	consistency := consistencyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, read, err := r.reader(consistency)
		if err != nil {
			return err
		}
		b, _, err := c.KV().Document(cmd.Context(), a[0], client.DocumentOptions{Format: *format, Typed: *typed}, read)
		if err != nil {
			return err
		}
		if !slices.Contains([]string{"", "\n"}, string(b[max(0, len(b)-1):])) {
			b = append(b, '\n')
		}
		_, err = p.out.Write(b)
		return err
	}
	return cmd
}

func (p *program) configPutCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "put PREFIX FILE",
		Short: "Write the keys of a document below PREFIX, in one transaction; - is standard input",
		Args:  args(cobra.ExactArgs(2)),
	}
	r := remoteFlags(cmd)
	format := cmd.Flags().String("format", "", "json, yaml, toml, env or properties; by the file's name if it is not given, else json")
	prune := cmd.Flags().Bool("prune", false, "delete in the same step what is below PREFIX and not in the document")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		b, err := readFile(cmd, a[1])
		if err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		o := client.DocumentOptions{Format: cmp.Or(*format, documentFormats[strings.ToLower(filepath.Ext(a[1]))]), Prune: *prune}
		return c.KV().PutDocument(cmd.Context(), a[0], b, o)
	}
	return cmd
}
