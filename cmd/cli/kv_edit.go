package cli

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"strings"

	"github.com/spf13/cobra"

	"herald/client"
	"herald/registry"
)

func (p *program) kvEdit(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "edit KEY",
		Short: "Change a key's value in an editor",
		Long: `Change a key's value in the editor that $VISUAL or $EDITOR names, or vi.

The value is written when the editor ends well and the text differs, and only if nobody else changed the key meanwhile: then the text
is kept in a file that the error names. A key that does not exist is made. If the value did not end in a newline, the one that
editors put at the end is taken off.`,
		Args: args(cobra.ExactArgs(1)),
	}
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		kv, _, err := c.KV().Get(cmd.Context(), a[0], client.ReadOptions{Consistency: client.Consistent})
		if err != nil && !errors.Is(err, registry.ErrKeyNotFound) {
			return err
		}
		file, err := draftFile(a[0], kv.Value)
		if err != nil {
			return err
		}
		text, err := edit(cmd, file)
		if err != nil {
			return fmt.Errorf("%w; the text is in %s", err, file)
		}
		if !bytes.HasSuffix(kv.Value, []byte("\n")) {
			text = bytes.TrimSuffix(text, []byte("\n")) // which most editors put at the end of a file
		}
		if bytes.Equal(text, kv.Value) {
			fmt.Fprintln(p.err, "unchanged")
			return os.Remove(file)
		}
		res, err := c.KV().CompareAndSwap(cmd.Context(), a[0], text, uint64(kv.ModRevision), client.PutOptions{Flags: kv.Flags})
		if err == nil && !res.Written {
			err = fmt.Errorf("key %q was changed by someone else meanwhile, and is as they wrote it", a[0])
		}
		if err != nil {
			return fmt.Errorf("%w; your text is in %s", err, file)
		}
		return os.Remove(file)
	}
	return cmd
}

// draftFile makes a file for a value, that nobody else can read. Its name ends as the key does, by which editors know
// what it holds.
func draftFile(key string, value []byte) (string, error) {
	name := strings.Map(func(r rune) rune {
		if r == '.' || r == '-' || r == '_' || '0' <= r && r <= '9' || 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' {
			return r
		}
		return '_'
	}, path.Base(key))
	f, err := os.CreateTemp("", "herald-*-"+name[max(0, len(name)-64):])
	if err != nil {
		return "", err
	}
	_, err = f.Write(value)
	return f.Name(), errors.Join(err, f.Close())
}

// edit has a file edited and returns what is in it then.
func edit(cmd *cobra.Command, file string) ([]byte, error) {
	editor := cmp.Or(os.Getenv("VISUAL"), os.Getenv("EDITOR"), "vi")
	words := strings.Fields(editor) // with arguments, as in "code --wait"
	if len(words) == 0 {
		return nil, fmt.Errorf("$VISUAL or $EDITOR is %q: it names no editor", editor)
	}
	run := exec.CommandContext(cmd.Context(), words[0], append(words[1:], file)...)
	run.Stdin, run.Stdout, run.Stderr = cmd.InOrStdin(), os.Stdout, os.Stderr
	if err := run.Run(); err != nil {
		return nil, fmt.Errorf("editor %s: %w", editor, err)
	}
	return os.ReadFile(file)
}
