package mvcc

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

var update = flag.Bool("update", false, "write what the tests find to testdata, to be read as a diff")

// TestHistories replays the histories in testdata: commands, and below each, after
// ">", what it answers. A history starts from an empty state; text_test.go has
// the language.
func TestHistories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no histories: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := replay(t, string(b))
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if got != string(b) {
				t.Errorf("%s says otherwise (write it with -update, and read the diff):\n%s", file, firstDifference(got, string(b)))
			}
		})
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range min(len(g), len(w)) {
		if g[i] != w[i] {
			return fmt.Sprintf("line %d\n got: %s\nwant: %s", i+1, g[i], w[i])
		}
	}
	return fmt.Sprintf("%d lines, not %d", len(g), len(w))
}

// replay executes the commands of a history and returns it with the answers
// they give in place of those it had.
func replay(t *testing.T, history string) string {
	h := &teller{t: t, state: New()}
	h.state.swept.step = 0 // histories sweep when they say so
	var out strings.Builder
	var command []string
	answer := func() {
		if command == nil {
			return
		}
		var said strings.Builder
		h.tell(&said, command)
		for line := range strings.Lines(said.String()) {
			out.WriteString("> " + line)
		}
		command = nil
	}
	for line := range strings.Lines(history) {
		text := strings.TrimRight(line, "\n")
		if strings.HasPrefix(text, ">") {
			continue
		}
		if !strings.HasPrefix(text, " ") {
			answer()
		}
		if text != "" && !strings.HasPrefix(text, "#") {
			command = append(command, text)
		}
		out.WriteString(line)
	}
	answer()
	return out.String()
}

// teller executes one history.
type teller struct {
	t     *testing.T
	state *State
	index uint64
	who   registry.Origin
}

func (h *teller) apply(c Command) Result {
	h.index++
	c.Origin = h.who
	decoded, err := DecodeCommand(c.AppendTo(nil))
	if err != nil {
		h.t.Fatalf("decode: %v", err)
	}
	res := h.state.Apply(&decoded)
	h.state.SetApplied(h.index)
	h.state.Publish()
	res.Complete()
	return res
}

func (h *teller) tell(out *strings.Builder, lines []string) {
	p := &parser{t: h.t, words: fields(lines[0])}
	v := h.state.View()
	switch verb := p.next(); verb {
	case "by":
		h.who = registry.Origin{Who: p.next(), When: time.Unix(int64(p.option("at", 0)), 0)}
		if h.who.When.Unix() == 0 {
			h.who.When = time.Time{}
		}
		h.who.Why = registry.Reason(p.option("why", 0))
	case "put", "delete", "require":
		op := p.operation(verb)
		res := h.apply(Command{Txn: &registry.Txn{Then: []registry.Op{op}}})
		if res.Err != nil {
			fmt.Fprintln(out, "error:", res.Err)
		} else {
			tellOp(out, "", op, res.Txn.Results[0])
		}
	case "range":
		res, err := v.Range(*p.operation(verb).Range)
		if err != nil {
			fmt.Fprintln(out, "error:", err)
		} else {
			tellRange(out, "", &res)
		}
	case "txn", "readtxn":
		x, rest := parseTxn(h.t, lines[1:], 2)
		if len(rest) > 0 {
			h.t.Fatalf("cannot read %q", rest[0])
		}
		var res Result
		if verb == "txn" {
			res = h.apply(Command{Txn: x})
		} else {
			var r registry.TxnResult
			r, res.Err = v.ReadTxn(*x)
			res.Txn = &r
		}
		if res.Err != nil {
			fmt.Fprintln(out, "error:", res.Err)
		} else {
			tellTxn(out, "", x, res.Txn)
		}
	case "grant":
		res := h.apply(Command{Grant: &LeaseGrant{ID: registry.LeaseID(p.number()), TTL: p.duration()}})
		tellError(out, res.Err, fmt.Sprintf("lease %d ttl %v", res.Lease.ID, res.Lease.TTL))
	case "revoke":
		r := &LeaseRevoke{}
		for len(p.words) > 0 {
			r.IDs = append(r.IDs, registry.LeaseID(p.number()))
		}
		res := h.apply(Command{Revoke: r})
		tellError(out, res.Err, fmt.Sprint("revisions ", res.Revisions))
	case "checkpoint":
		c := &LeaseCheckpoint{}
		for len(p.words) > 0 {
			c.Remaining = append(c.Remaining, LeaseRemaining{registry.LeaseID(p.number()), p.duration()})
		}
		res := h.apply(Command{Checkpoint: c})
		tellError(out, res.Err, fmt.Sprint("missing ", res.Missing))
	case "leases":
		v.Leases(func(l LeaseState) bool {
			fmt.Fprintf(out, "lease %d ttl %v remaining %v", l.ID, l.TTL, l.Remaining)
			if l.After != 0 {
				fmt.Fprintf(out, " after %d", l.After)
			}
			for _, k := range v.LeaseKeys(l.ID) {
				fmt.Fprintf(out, " %v/%s", k.Space, k.Key)
			}
			fmt.Fprintln(out)
			return true
		})
	case "compact":
		res := h.apply(Command{Compact: &Compact{Space: p.space(), Revision: p.number()}})
		tellError(out, res.Err, "ok")
	case "history":
		err := v.Commits(p.space(), p.number(), p.number(), func(c registry.Commit) bool {
			tellCommit(out, c)
			return true
		})
		if err != nil {
			fmt.Fprintln(out, "error:", err)
		}
	case "revisions":
		fmt.Fprintln(out, v.Revisions())
	case "snapshot":
		h.state = roundTrip(h.t, v)
		h.state.swept.step = 0
		fmt.Fprintln(out, "restored at index", h.state.View().Applied())
	case "supersede":
		h.state = roundTrip(h.t, v)
		h.state.swept.step = 0
		err := h.state.Supersede(registry.Revisions{p.number(), p.number(), p.number()}, h.who)
		tellError(out, err, fmt.Sprint("revisions ", h.state.View().Revisions()))
	case "sweep":
		h.state.swept.step = int(p.number())
		h.state.sweep()
		h.state.swept.step = 0
		h.state.Publish()
		h.inside(out)
	case "inside":
		h.inside(out)
	default:
		h.t.Fatalf("unknown command %q", lines[0])
	}
	p.done()
}

// inside tells what the kv space keeps, as doc.go draws it.
func (h *teller) inside(out *strings.Builder) {
	s := &h.state.View().spaces[0]
	tell := func(name string, recs []*record) {
		fmt.Fprintf(out, "%-5s", name)
		for _, r := range recs {
			mark := ""
			if r.deleted() {
				mark = "x"
			}
			fmt.Fprintf(out, " %s@%d%s", r.key(), r.mod, mark)
		}
		fmt.Fprintln(out)
	}
	var live []*record
	s.keys.Ascend("", func(r *record) bool {
		live = append(live, r)
		return true
	})
	tell("keys", live)
	fmt.Fprintf(out, "past  %d versions, %d bytes\n", s.versions, s.versionBytes)
	fmt.Fprintf(out, "dead ")
	s.dead.Scan(func(key string, rev int64) bool {
		fmt.Fprintf(out, " %s@%d", key, rev)
		return true
	})
	fmt.Fprintf(out, "\nlog   %d to %d, compacted %d\n", s.log.first, s.rev, s.compacted)
}

func tellError(out *strings.Builder, err error, otherwise string) {
	if err != nil {
		otherwise = "error: " + err.Error()
	}
	fmt.Fprintln(out, otherwise)
}

func tellTxn(out *strings.Builder, indent string, x *registry.Txn, r *registry.TxnResult) {
	what := "else"
	if r.Succeeded {
		what = "then"
	}
	fmt.Fprintf(out, "%s%s, revisions %v\n", indent, what, r.Revisions)
	for i, op := range branch(x, r.Succeeded) {
		tellOp(out, indent+"  ", op, r.Results[i])
	}
}

func tellOp(out *strings.Builder, indent string, op registry.Op, r registry.OpResult) {
	switch {
	case r.Put != nil:
		fmt.Fprintf(out, "%sput at %d", indent, r.Put.Revision)
		if !r.Put.Written {
			fmt.Fprint(out, ", unchanged")
		}
		if r.Put.Prev != nil {
			fmt.Fprintf(out, ", was %s", tellKV(*r.Put.Prev))
		}
		fmt.Fprintln(out)
	case r.Delete != nil:
		fmt.Fprintf(out, "%sdeleted %d at %d\n", indent, r.Delete.Deleted, r.Delete.Revision)
		for _, kv := range r.Delete.Prev {
			fmt.Fprintf(out, "%s  was %s\n", indent, tellKV(kv))
		}
	case r.Range != nil:
		tellRange(out, indent, r.Range)
	case r.Txn != nil:
		tellTxn(out, indent, op.Txn, r.Txn)
	default:
		if op.Grant != nil {
			fmt.Fprintf(out, "%slease %d\n", indent, op.Grant.ID)
			break
		}
		fmt.Fprintf(out, "%srequirement holds\n", indent)
	}
}

func tellRange(out *strings.Builder, indent string, r *registry.RangeResult) {
	for _, kv := range r.KVs {
		fmt.Fprintf(out, "%s%s\n", indent, tellKV(kv))
	}
	fmt.Fprintf(out, "%scount %d", indent, r.Count)
	if r.More {
		fmt.Fprint(out, " more")
	}
	fmt.Fprintf(out, " at %d", r.Revision)
	if r.LastChange != 0 {
		fmt.Fprintf(out, " last change %d", r.LastChange)
	}
	fmt.Fprintln(out)
}

func tellKV(kv registry.KeyValue) string {
	s := fmt.Sprintf("%s=%s create %d mod %d version %d", quoted(kv.Key), quoted(string(kv.Value)), kv.CreateRevision, kv.ModRevision, kv.Version)
	if kv.Lease != 0 {
		s += fmt.Sprintf(" lease %d", kv.Lease)
	}
	if kv.Flags != 0 {
		s += fmt.Sprintf(" flags %d", kv.Flags)
	}
	if kv.Lock != (registry.Lock{}) {
		s += fmt.Sprintf(" lock %d count %d", kv.Lock.Holder, kv.Lock.Count)
	}
	return s
}

// quoted spells a string as the language reads it: bare if it can be.
func quoted(s string) string {
	q := strconv.Quote(s)
	if q == `"`+s+`"` && s != "" && !strings.Contains(s, " ") {
		return s
	}
	return q
}

func tellCommit(out *strings.Builder, c registry.Commit) {
	fmt.Fprintf(out, "%d by %q, %v", c.Revision, c.Origin.Who, c.Origin.Why)
	if !c.Origin.When.IsZero() {
		fmt.Fprintf(out, ", at %d", c.Origin.When.Unix())
	}
	fmt.Fprintln(out)
	for i := range c.Events {
		e := &c.Events[i]
		switch {
		case e.Type == registry.EventDelete:
			fmt.Fprintf(out, "  delete %s mod %d", quoted(e.KV.Key), e.KV.ModRevision)
		case e.IsCreate():
			fmt.Fprintf(out, "  create %s", tellKV(e.KV))
		default:
			fmt.Fprintf(out, "  put %s", tellKV(e.KV))
		}
		if e.Prev != nil {
			fmt.Fprintf(out, ", was %s", tellKV(*e.Prev))
		}
		if e.Seq != uint32(i) {
			fmt.Fprintf(out, ", written as number %d", e.Seq)
		}
		fmt.Fprintln(out)
	}
}
