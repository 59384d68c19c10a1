package registry

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

func TestTxnWrites(t *testing.T) {
	put := Op{Put: &PutRequest{Key: "a"}}
	del := Op{Delete: &DeleteRequest{KeyRange: One("a")}}
	read := Op{Range: &RangeRequest{KeyRange: One("a")}}
	require := Op{Require: &Compare{KeyRange: One("a")}}
	nest := func(ops ...Op) Op { return Op{Txn: &Txn{Else: ops}} }
	for _, c := range []struct {
		name string
		x    Txn
		want bool
	}{
		{"nothing", Txn{}, false},
		{"reads", Txn{Then: []Op{read, require}, Else: []Op{read}}, false},
		{"put", Txn{Then: []Op{read, put}}, true},
		{"delete", Txn{Then: []Op{del}}, true},
		{"put otherwise", Txn{Then: []Op{read}, Else: []Op{put}}, true},
		{"nested reads", Txn{Then: []Op{nest(read, nest(require))}}, false},
		{"nested put", Txn{Then: []Op{read, nest(read, nest(put))}}, true},
	} {
		if got := c.x.Writes(); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHealthStatus(t *testing.T) {
	for _, c := range []struct{ a, b, want HealthStatus }{
		{Passing, Passing, Passing},
		{Passing, Warning, Warning},
		{Warning, Critical, Critical},
		{"", Warning, Warning},
		{"", "", Passing},
		{"", Passing, Passing},
	} {
		if got := c.a.Worse(c.b); got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.a, c.b, got, c.want)
		}
		if got := c.b.Worse(c.a); got != c.want {
			t.Errorf("%q and %q: %q, want %q", c.b, c.a, got, c.want)
		}
	}
	for _, s := range []HealthStatus{Passing, Warning, Critical} {
		if !s.Valid() {
			t.Errorf("%q is not valid", s)
		}
	}
	for _, s := range []HealthStatus{"", "Passing", "maintenance"} {
		if s.Valid() {
			t.Errorf("%q is valid", s)
		}
	}
}

func TestNames(t *testing.T) {
	seen := map[string]bool{}
	for s := range Space(NumSpaces) {
		if !s.Valid() || s.String() == "" || seen[s.String()] {
			t.Errorf("space %d is called %q", s, s)
		}
		seen[s.String()] = true
	}
	if s := Space(NumSpaces); s.Valid() || s.String() != "space(4)" {
		t.Errorf("a space that does not exist is called %q", s)
	}
	clear(seen)
	for r := ReasonClient; r <= ReasonSystem; r++ {
		if r.String() == "unknown" || seen[r.String()] {
			t.Errorf("reason %d is called %q", r, r)
		}
		seen[r.String()] = true
	}
	if r := ReasonSystem + 1; r.String() != "unknown" {
		t.Errorf("a reason that does not exist is called %q", r)
	}
}

func TestErrorsAreWhatTheySay(t *testing.T) {
	compacted := fmt.Errorf("read: %w", &CompactedError{Space: SpaceCatalog, Lowest: 7})
	if !errors.Is(compacted, ErrCompacted) || errors.Is(compacted, ErrRequire) {
		t.Errorf("%v is not ErrCompacted alone", compacted)
	}
	if msg := compacted.Error(); !strings.Contains(msg, "catalog") || !strings.Contains(msg, "7") {
		t.Errorf("%q does not say where and from when", msg)
	}
	require := fmt.Errorf("txn: %w", &RequireError{Op: 3, Have: KeyValue{Key: "k"}})
	if !errors.Is(require, ErrRequire) || errors.Is(require, ErrCompacted) {
		t.Errorf("%v is not ErrRequire alone", require)
	}
	if msg := require.Error(); !strings.Contains(msg, "3") || !strings.Contains(msg, `"k"`) {
		t.Errorf("%q does not say which and what", msg)
	}
}

func TestCaller(t *testing.T) {
	if c := CallerFrom(context.Background()); c != (Caller{}) {
		t.Errorf("nobody is %+v", c)
	}
	want := Caller{Identity: "alice", Reason: ReasonOperator}
	ctx := WithCaller(WithCaller(context.Background(), Caller{Identity: "bob"}), want)
	if got := CallerFrom(ctx); got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestEventIsCreate(t *testing.T) {
	for _, c := range []struct {
		e    Event
		want bool
	}{
		{Event{KV: KeyValue{CreateRevision: 5, ModRevision: 5}}, true},
		{Event{KV: KeyValue{CreateRevision: 4, ModRevision: 5}}, false},
		{Event{Type: EventDelete, KV: KeyValue{ModRevision: 5}}, false},
	} {
		if got := c.e.IsCreate(); got != c.want {
			t.Errorf("%+v: %v", c.e, got)
		}
	}
}

func TestServiceDefinitionInstance(t *testing.T) {
	d := ServiceDefinition{Name: "web", Port: 80, Tags: []string{"v1"}}
	if got := d.Instance("n1"); got.ID != "web" || got.Node != "n1" || got.Service != "web" || got.Port != 80 || got.Weights != DefaultWeights() {
		t.Errorf("by default: %+v", got)
	}
	d.ID, d.Weights = "web-2", &Weights{Passing: 0, Warning: 3}
	if got := d.Instance("n1"); got.ID != "web-2" || got.Weights != *d.Weights {
		t.Errorf("as named: %+v", got)
	}
}

func TestDNSLabelProblem(t *testing.T) {
	for _, name := range []string{"a", "web", "Web-1", "1web", strings.Repeat("a", 63)} {
		if p := DNSLabelProblem(name); p != "" {
			t.Errorf("%q: %s", name, p)
		}
	}
	for name, part := range map[string]string{
		"": "empty", strings.Repeat("a", 64): "63", "web_1": "'_'", "web.1": "'.'", "wéb": "'é'", "-web": "hyphen", "web-": "hyphen", "a b": "' '",
	} {
		if p := DNSLabelProblem(name); !strings.Contains(p, part) {
			t.Errorf("%q: %q does not mention %s", name, p, part)
		}
	}
}

func TestIP(t *testing.T) {
	for _, c := range []struct {
		address string
		want    string // "" if it is no IP address
	}{
		{"10.0.0.1", "10.0.0.1"},
		{"::ffff:10.0.0.1", "10.0.0.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"web.example", ""},
		{"", ""},
		{"10.0.0", ""},
	} {
		ip, ok := IP(c.address)
		if ok != (c.want != "") || ok && ip != netip.MustParseAddr(c.want) {
			t.Errorf("%q: %v %v, want %q", c.address, ip, ok, c.want)
		}
	}
}

// oneTxn is a Store that keeps the transaction it is given, and answers it.
type oneTxn struct {
	Store
	got    Txn
	answer TxnResult
	err    error
}

func (s *oneTxn) Txn(_ context.Context, x Txn) (TxnResult, error) {
	s.got = x
	return s.answer, s.err
}

func TestPutAndDelete(t *testing.T) {
	s := &oneTxn{answer: TxnResult{Results: []OpResult{{Put: &PutResult{Revision: 5}, Delete: &DeleteResult{Deleted: 2}}}}}
	put, err := Put(context.Background(), s, PutRequest{Key: "a"})
	if err != nil || put.Revision != 5 || len(s.got.Then) != 1 || s.got.Then[0].Put.Key != "a" {
		t.Errorf("put: %+v %v from %+v", put, err, s.got)
	}
	del, err := Delete(context.Background(), s, DeleteRequest{KeyRange: One("b")})
	if err != nil || del.Deleted != 2 || len(s.got.Then) != 1 || s.got.Then[0].Delete.Start != "b" {
		t.Errorf("delete: %+v %v from %+v", del, err, s.got)
	}
	s.err = ErrNoLeader
	if _, err := Put(context.Background(), s, PutRequest{Key: "a"}); !errors.Is(err, ErrNoLeader) {
		t.Errorf("put: %v", err)
	}
	if _, err := Delete(context.Background(), s, DeleteRequest{KeyRange: One("b")}); !errors.Is(err, ErrNoLeader) {
		t.Errorf("delete: %v", err)
	}
}

func TestFreshnessOfTransactions(t *testing.T) {
	stale := Op{Range: &RangeRequest{Consistency: Stale}}
	fresh := Op{Range: &RangeRequest{}}
	nest := func(t Txn) Op { return Op{Txn: &t} }
	for _, tc := range []struct {
		what string
		txn  Txn
		want Consistency
	}{
		{"compares alone", Txn{Compare: []Compare{{}}}, Linearizable},
		{"stale reads", Txn{Then: []Op{stale}, Else: []Op{stale, stale}}, Stale},
		{"one fresh read", Txn{Then: []Op{stale}, Else: []Op{stale, fresh}}, Linearizable},
		{"a stale read within", Txn{Then: []Op{nest(Txn{Else: []Op{stale}})}}, Stale},
		{"a fresh read within", Txn{Then: []Op{stale, nest(Txn{Else: []Op{fresh}})}}, Linearizable},
	} {
		if got := tc.txn.Freshness(); got != tc.want {
			t.Errorf("%s: %v, want %v", tc.what, got, tc.want)
		}
	}
}
