package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"herald/registry"
	"herald/registry/archive"
)

func (p *program) snapshotCommand() *cobra.Command {
	return group(&cobra.Command{Use: "snapshot", Short: "Save everything in the store to a file, look at such a file, or restore it"},
		p.snapshotSave(), p.snapshotInspect(), p.snapshotRestore())
}

func (p *program) snapshotSave() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "save FILE",
		Short: "Save everything in the store to a file",
		Long: `Save everything in the store to a file: keys, services, leases.

The file contains every write acknowledged before the command was given. It is checked
before it gets its name, so that a file of that name is always whole.`,
		Args: args(cobra.ExactArgs(1)),
	}
	r := remoteFlags(cmd)
	stale := cmd.Flags().Bool("stale", false, "take it from the asked server as it is, which needs no leader")
	out := p.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		info, err := saveFile(words[0], func(w io.Writer) error {
			_, err := c.Operator().SaveSnapshot(cmd.Context(), w, *stale)
			return err
		})
		if err != nil {
			return err
		}
		return out.print(info, func() error {
			fmt.Fprintf(p.out, "saved %s: %s\n", words[0], contents(&info))
			return nil
		})
	}
	return cmd
}

// saveFile makes a file of an archive that save writes: under another name until it is on
// the disk and was found whole.
func saveFile(name string, save func(io.Writer) error) (info registry.SnapshotInfo, err error) {
	dir := filepath.Dir(name)
	f, err := os.CreateTemp(dir, filepath.Base(name)+".*.partial")
	if err != nil {
		return info, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreClosed(f.Close()), os.Remove(f.Name()))
		}
	}()
	if err := save(f); err != nil {
		return info, err
	}
	if err := f.Sync(); err != nil {
		return info, err
	}
	if _, err := f.Seek(0, io.SeekStart); err != nil {
		return info, err
	}
	if info, err = inspect(f); err != nil {
		return info, fmt.Errorf("what was received: %w", err)
	}
	if err := f.Close(); err != nil {
		return info, err
	}
	if err := os.Rename(f.Name(), name); err != nil {
		return info, err
	}
	return info, syncDir(dir)
}

func ignoreClosed(err error) error {
	if errors.Is(err, os.ErrClosed) {
		return nil
	}
	return err
}

func inspect(r io.Reader) (registry.SnapshotInfo, error) {
	return archive.Inspect(bufio.NewReaderSize(r, 1<<20))
}

func inspectFile(name string) (registry.SnapshotInfo, error) {
	f, err := os.Open(name)
	if err != nil {
		return registry.SnapshotInfo{}, err
	}
	defer f.Close()
	info, err := inspect(f)
	if err != nil {
		return info, fmt.Errorf("%s: %w", name, err)
	}
	return info, nil
}

func (p *program) snapshotInspect() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "inspect FILE",
		Short: "Check a file as a restore would, and say what is in it; asks no server",
		Args:  args(cobra.ExactArgs(1)),
	}
	out := p.outputFlag(cmd)
	cmd.RunE = func(_ *cobra.Command, words []string) error {
		info, err := inspectFile(words[0])
		if err != nil {
			return err
		}
		return out.table(info, "WHAT\tVALUE", func(line func(string, ...any)) {
			line("created\t%s", info.Created.Format(time.RFC3339))
			line("by\therald %s, server %s of cluster %s", info.Version, info.NodeID, info.ClusterID)
			line("format\t%d", info.Format)
			line("log index\t%d, term %d", info.Index, info.Term)
			others := maps.Clone(info.Keys)
			for space := registry.Space(0); space.Valid(); space++ {
				line("%s\trevision %d, %s", space, info.Revisions[space], count(int(info.Keys[space.String()]), "key"))
				delete(others, space.String())
			}
			for _, name := range slices.Sorted(maps.Keys(others)) { // of spaces that this version does not know
				line("%s\t%s", name, count(int(others[name]), "key"))
			}
			line("leases\t%d", info.Leases)
			line("size\t%d bytes", info.Bytes)
			line("sha256\t%s", info.SHA256)
		})
	}
	return cmd
}

func (p *program) snapshotRestore() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "restore FILE",
		Short: "Replace everything in the store by what a file has",
		Long: `Replace everything in the store by what a file has: keys, services, leases.

The file is checked first, here and by the leader, and a bad one changes nothing. Revisions
go up, never back; whoever watches reads again; leases start anew with their whole time.`,
		Args: args(cobra.ExactArgs(1)),
	}
	r := remoteFlags(cmd)
	yes := cmd.Flags().Bool("yes", false, "do not ask")
	out := p.outputFlag(cmd)
	cmd.RunE = func(cmd *cobra.Command, words []string) error {
		info, err := inspectFile(words[0])
		if err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		asking, cancel := once(cmd)
		defer cancel()
		before, err := c.Members(asking)
		if err != nil {
			return err
		}
		if !*yes {
			question := fmt.Sprintf("Everything in the cluster at %s is replaced by %s: %s.\n", strings.Join(c.Addresses(), ", "), words[0], contents(&info))
			if err := p.confirm(cmd, question); err != nil {
				return err
			}
		}
		f, err := os.Open(words[0])
		if err != nil {
			return err
		}
		defer f.Close()
		if info, err = c.Operator().RestoreSnapshot(cmd.Context(), f); err != nil {
			return err
		}
		// The time of the transfer has nothing to do with how long a question may take.
		asking, cancel = context.WithTimeout(cmd.Context(), commandTimeout)
		defer cancel()
		after, err := c.Members(asking)
		if err != nil {
			return fmt.Errorf("%s is restored, but what came of it cannot be shown: %w", words[0], err)
		}
		result := restored{info, before.Status.Revisions, after.Status.Revisions}
		err = out.table(result, "SPACE\tREVISION BEFORE\tAFTER\tKEYS", func(line func(string, ...any)) {
			for space := registry.Space(0); space.Valid(); space++ {
				line("%s\t%d\t%d\t%d", space, result.Before[space], result.After[space], info.Keys[space.String()])
			}
		})
		if err == nil && out.format == "text" {
			fmt.Fprintf(p.out, "\nrestored %s: %s\n", words[0], contents(&info))
		}
		return err
	}
	return cmd
}

// restored is what a restore came to, with the asked server's revisions around it.
type restored struct {
	Snapshot registry.SnapshotInfo `json:"snapshot"`
	Before   registry.Revisions    `json:"revisions_before"`
	After    registry.Revisions    `json:"revisions_after"`
}

// contents says in a line what an archive holds.
func contents(info *registry.SnapshotInfo) string {
	keys := int64(0)
	for _, n := range info.Keys {
		keys += n
	}
	return fmt.Sprintf("%s, %s, made %s by server %s", count(int(keys), "key"), count(int(info.Leases), "lease"),
		info.Created.Format(time.RFC3339), info.NodeID)
}

// confirm asks a person. Where there is none, --yes has to have said it.
func (p *program) confirm(cmd *cobra.Command, question string) error {
	if f, ok := cmd.InOrStdin().(*os.File); ok {
		if st, err := f.Stat(); err != nil || st.Mode()&os.ModeCharDevice == 0 {
			return &usageError{errors.New("nobody is there to ask: say --yes")}
		}
	}
	fmt.Fprint(p.err, question+`Type "yes" to go on: `)
	line, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil && err != io.EOF {
		return err
	}
	if strings.TrimSpace(line) != "yes" {
		return errors.New("nothing was restored")
	}
	return nil
}
