package mvcc

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

// The language of the histories in testdata:
//
//	put KEY VALUE [in=SPACE] [lease=N] [flags=N] [holder=N] [acquire|release|forget]
//	    [keep-value] [keep-lease] [keep-flags] [if-changed] [prev]
//	delete KEYS [in=SPACE] [prev]
//	range KEYS [in=SPACE] [rev=N] [limit=N] [min-mod=N] [max-mod=N] [min-create=N]
//	    [max-create=N] [sort=N] [ascend|descend] [count] [keys] [uncounted] [last]
//	require FIELD KEYS OPERATOR OPERAND [in=SPACE]
//	txn (or readtxn, on the view), and below it, indented by two:
//	  if FIELD KEYS OPERATOR OPERAND [in=SPACE]
//	  OPERATION, or txn with its own lines below, when the compares hold
//	  else OPERATION when they do not
//	grant ID TTL · revoke ID... · checkpoint ID REMAINING ... · leases
//	compact SPACE REV · history SPACE FROM TO · revisions
//	by WHO [at=SECONDS] [why=N]     who asks from here on
//	snapshot                        go on with a state restored from a snapshot
//	supersede KV CATALOG SESSION    go on as a restore over a state of those revisions would
//	sweep EVENTS · inside           remove compacted history; show what is kept
//
// KEYS are one key, FROM..TO, FROM.. for all from it, or PREFIX*. Words may be
// quoted as in Go.
type parser struct {
	t     *testing.T
	words []string
}

// fields splits a line into words; a quoted part may hold anything.
func fields(line string) (words []string) {
	for line = strings.TrimSpace(line); line != ""; line = strings.TrimLeft(line, " ") {
		end := 0
		for quote := false; end < len(line) && (quote || line[end] != ' '); end++ {
			if line[end] == '"' {
				quote = !quote
			}
		}
		words = append(words, line[:end])
		line = line[end:]
	}
	return words
}

func (p *parser) next() string {
	if len(p.words) == 0 {
		p.t.Fatal("a command ends early")
	}
	w := p.words[0]
	p.words = p.words[1:]
	return w
}

// text is the next word, unquoted if need be.
func (p *parser) text() string { return p.unquote(p.next()) }

func (p *parser) unquote(w string) string {
	if !strings.HasPrefix(w, `"`) {
		return w
	}
	s, err := strconv.Unquote(w)
	if err != nil {
		p.t.Fatalf("cannot unquote %s", w)
	}
	return s
}

func (p *parser) number() int64 { return p.parse(p.next()) }

func (p *parser) parse(w string) int64 {
	n, err := strconv.ParseInt(w, 10, 64)
	if err != nil {
		p.t.Fatalf("%q is not a number", w)
	}
	return n
}

func (p *parser) duration() time.Duration {
	d, err := time.ParseDuration(p.next())
	if err != nil {
		p.t.Fatal(err)
	}
	return d
}

func (p *parser) space() registry.Space { return p.spaceNamed(p.next()) }

func (p *parser) spaceNamed(w string) registry.Space {
	for s := range registry.Space(registry.NumSpaces) {
		if s.String() == w {
			return s
		}
	}
	p.t.Fatalf("%q is not a space", w)
	return 0
}

// option takes name=N out of the words that are left.
func (p *parser) option(name string, otherwise int64) int64 {
	if w, ok := p.take(name + "="); ok {
		return p.parse(w)
	}
	return otherwise
}

// in takes in=SPACE out of the words that are left.
func (p *parser) in() registry.Space {
	if w, ok := p.take("in="); ok {
		return p.spaceNamed(w)
	}
	return 0
}

func (p *parser) take(prefix string) (string, bool) {
	for i, w := range p.words {
		if rest, ok := strings.CutPrefix(w, prefix); ok {
			p.words = slices.Delete(slices.Clone(p.words), i, i+1)
			return rest, true
		}
	}
	return "", false
}

// flag takes a word out of those that are left.
func (p *parser) flag(name string) bool {
	i := slices.Index(p.words, name)
	if i >= 0 {
		p.words = slices.Delete(slices.Clone(p.words), i, i+1)
	}
	return i >= 0
}

func (p *parser) done() {
	if len(p.words) > 0 {
		p.t.Fatalf("cannot read %q", p.words)
	}
}

func (p *parser) keys() registry.KeyRange {
	w := p.next()
	if from, to, ok := strings.Cut(w, ".."); ok {
		if to == "" {
			return registry.From(p.unquote(from))
		}
		return registry.KeyRange{Start: p.unquote(from), End: p.unquote(to)}
	}
	if prefix, ok := strings.CutSuffix(w, "*"); ok {
		return registry.Prefix(p.unquote(prefix))
	}
	return registry.One(p.unquote(w))
}

func (p *parser) operation(verb string) (op registry.Op) {
	defer p.done()
	switch verb {
	case "put":
		op.Put = p.put()
	case "delete":
		op.Delete = &registry.DeleteRequest{KeyRange: p.keys(), Space: p.in(), PrevKV: p.flag("prev")}
	case "range":
		op.Range = p.rangeRequest()
	case "require":
		c := p.compare()
		op.Require = &c
	case "grant":
		op.Grant = &registry.GrantRequest{
			ID: registry.LeaseID(p.number()), TTL: p.duration(), After: registry.LeaseID(p.option("after", 0)),
			IfAbsent: p.flag("if-absent"), DeleteLocked: p.flag("delete-locked"),
		}
	default:
		p.t.Fatalf("unknown operation %q", verb)
	}
	return op
}

func (p *parser) put() *registry.PutRequest {
	r := &registry.PutRequest{Key: p.text(), Value: []byte(p.text()), Space: p.in()}
	r.Lease = registry.LeaseID(p.option("lease", 0))
	r.Flags = uint64(p.option("flags", 0))
	r.Holder = registry.LeaseID(p.option("holder", 0))
	for action, name := range map[registry.LockAction]string{
		registry.LockAcquire: "acquire", registry.LockRelease: "release", registry.LockForget: "forget",
	} {
		if p.flag(name) {
			r.Lock = action
		}
	}
	r.KeepValue, r.KeepLease, r.KeepFlags = p.flag("keep-value"), p.flag("keep-lease"), p.flag("keep-flags")
	r.IfChanged, r.PrevKV = p.flag("if-changed"), p.flag("prev")
	return r
}

func (p *parser) rangeRequest() *registry.RangeRequest {
	q := &registry.RangeRequest{KeyRange: p.keys(), Space: p.in()}
	q.Revision, q.Limit = p.option("rev", 0), p.option("limit", 0)
	q.MinModRevision, q.MaxModRevision = p.option("min-mod", 0), p.option("max-mod", 0)
	q.MinCreateRevision, q.MaxCreateRevision = p.option("min-create", 0), p.option("max-create", 0)
	q.SortTarget = registry.SortTarget(p.option("sort", 0))
	switch {
	case p.flag("ascend"):
		q.SortOrder = registry.SortAscend
	case p.flag("descend"):
		q.SortOrder = registry.SortDescend
	}
	q.CountOnly, q.KeysOnly, q.SkipCount = p.flag("count"), p.flag("keys"), p.flag("uncounted")
	q.WithLastChange = p.flag("last")
	return q
}

func (p *parser) compare() registry.Compare {
	field := p.next()
	c := registry.Compare{KeyRange: p.keys()}
	i := slices.Index([]string{"=", "!=", ">", "<"}, p.next())
	j := slices.Index([]string{"version", "create", "mod", "value", "lease", "flags", "holder", "count"}, field)
	if i < 0 || j < 0 {
		p.t.Fatalf("cannot read a compare of %q", field)
	}
	c.Result, c.Target = registry.CompareResult(i), registry.CompareTarget(j)
	switch c.Target {
	case registry.CompareValue:
		c.Bytes = []byte(p.text())
	case registry.CompareFlags, registry.CompareLockCount:
		c.Uint = uint64(p.number())
	default:
		c.Int = p.number()
	}
	c.Space = p.in()
	return c
}

// parseTxn reads the lines of a transaction, which are indented by depth, and
// returns those that follow it.
func parseTxn(t *testing.T, lines []string, depth int) (*registry.Txn, []string) {
	x := &registry.Txn{}
	for len(lines) > 0 {
		line := lines[0]
		indent := len(line) - len(strings.TrimLeft(line, " "))
		if indent < depth {
			break
		}
		if indent > depth {
			t.Fatalf("cannot read %q", line)
		}
		lines = lines[1:]
		p := &parser{t: t, words: fields(line)}
		into := &x.Then
		if p.words[0] == "else" {
			into = &x.Else
			p.next()
		}
		switch verb := p.next(); verb {
		case "if":
			x.Compare = append(x.Compare, p.compare())
			p.done()
		case "txn":
			var inner *registry.Txn
			inner, lines = parseTxn(t, lines, depth+2)
			*into = append(*into, registry.Op{Txn: inner})
		default:
			*into = append(*into, p.operation(verb))
		}
	}
	return x, lines
}
