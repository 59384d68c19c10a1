package cli

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"herald/client"
)

func (p *program) kvTree(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "tree [PREFIX]",
		Short: "Show the keys that begin with PREFIX as folders",
		Args:  args(cobra.MaximumNArgs(1)),
	}
	depth := cmd.Flags().Int("depth", 0, "show this many levels, and how many keys are below them; 0 is all")
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		if *depth < 0 {
			return &usageError{errors.New("--depth is 0 or more")}
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		names, _, err := c.KV().Keys(cmd.Context(), optional(a), "", client.ReadOptions{})
		if err != nil {
			return err
		}
		root := newFolder(names, optional(a))
		return root.print(p.out, "", *depth)
	}
	return cmd
}

// folder is a level of a tree of keys.
type folder struct {
	entries []*folder // in order of their names
	name    string    // with the slash if there is more below
	keys    int       // below it, itself included
}

// newFolder makes a tree of keys, which are in order and begin with prefix. What of the prefix is whole
// folders is not shown.
func newFolder(keys []string, prefix string) *folder {
	root := &folder{}
	above := prefix[:strings.LastIndexByte(prefix, '/')+1]
	for _, key := range keys {
		at := root
		at.keys++
		for rest := key[len(above):]; rest != ""; {
			name := rest
			if i := strings.IndexByte(rest, '/'); i >= 0 {
				name = rest[:i+1]
			}
			at, rest = at.entry(name), rest[len(name):]
			at.keys++
		}
	}
	return root
}

// entry is the one of that name, which is the last or a new one.
func (f *folder) entry(name string) *folder {
	if n := len(f.entries); n > 0 && f.entries[n-1].name == name {
		return f.entries[n-1]
	}
	e := &folder{name: name}
	f.entries = append(f.entries, e)
	return e
}

// print draws what is in a folder, so many levels of it or all for 0.
func (f *folder) print(w io.Writer, indent string, depth int) error {
	for i, e := range f.entries {
		branch, below := "├── ", "│   "
		if i == len(f.entries)-1 {
			branch, below = "└── ", "    "
		}
		more := ""
		if depth == 1 && len(e.entries) > 0 {
			more = fmt.Sprintf(" (%d)", e.keys)
		}
		if _, err := fmt.Fprintf(w, "%s%s%s%s\n", indent, branch, printable(e.name), more); err != nil {
			return err
		}
		if depth == 1 {
			continue
		}
		if err := e.print(w, indent+below, max(depth-1, 0)); err != nil {
			return err
		}
	}
	return nil
}
