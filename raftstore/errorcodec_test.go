package raftstore

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"reflect"
	"strings"
	"testing"

	"herald/registry"
	"herald/registry/wire"
)

// sameKind says that two errors are the same to errors.Is, of all of registry's
// sentinels.
func sameKind(t *testing.T, got, want error) {
	t.Helper()
	for _, s := range sentinelNumbers {
		if errors.Is(got, s.err) != errors.Is(want, s.err) {
			t.Errorf("%v: it is %v: %v, want %v", want, s.err, errors.Is(got, s.err), errors.Is(want, s.err))
		}
	}
}

func TestErrorsTravel(t *testing.T) {
	t.Parallel()
	compacted := &registry.CompactedError{Space: registry.SpaceSession, Lowest: 1 << 40}
	require := &registry.RequireError{Op: 3, Have: registry.KeyValue{
		Key: "k", Value: []byte("v"), CreateRevision: 1, ModRevision: 2, Version: 3, Lease: -4, Flags: 5,
		Lock: registry.Lock{Holder: 6, Count: 7},
	}}
	errs := []error{
		compacted,
		require,
		&registry.CompactedError{},
		&registry.RequireError{},
		fmt.Errorf("operation 2: %w", compacted),
		fmt.Errorf("operation 2: %w", require),
		errors.Join(compacted, require, registry.ErrTimeout),
		fmt.Errorf("%w: %w", registry.ErrUnavailable, registry.ErrStopped),
		fmt.Errorf("%w: key \xff\x00", registry.ErrInvalid),
		errors.New("something else"),
		errors.New(""),
	}
	for _, s := range sentinelNumbers {
		errs = append(errs, s.err, fmt.Errorf("read a/b: %w: more", s.err))
	}
	for _, want := range errs {
		b := encodeError(want)
		got := decodeError(b)
		clear(b)
		if got.Error() != want.Error() {
			t.Errorf("%q became %q", want, got)
		}
		sameKind(t, got, want)
		gc, _ := errors.AsType[*registry.CompactedError](got)
		wc, _ := errors.AsType[*registry.CompactedError](want)
		gr, _ := errors.AsType[*registry.RequireError](got)
		wr, _ := errors.AsType[*registry.RequireError](want)
		if !reflect.DeepEqual(gc, wc) || !reflect.DeepEqual(gr, wr) {
			t.Errorf("%v: %+v and %+v, want %+v and %+v", want, gc, gr, wc, wr)
		}
		// Twice, as from a leader by way of another server.
		if again := decodeError(encodeError(got)); !reflect.DeepEqual(again, got) {
			t.Errorf("%#v became %#v", got, again)
		}
	}
	for _, s := range sentinelNumbers {
		if got := decodeError(encodeError(s.err)); got != s.err {
			t.Errorf("%v is no longer itself: %#v", s.err, got)
		}
	}
}

// The end of the context of the server that was asked is not that of the caller's.
func TestErrorOfAnotherContext(t *testing.T) {
	t.Parallel()
	got := decodeError(encodeError(fmt.Errorf("%w: %w", registry.ErrUnavailable, context.Canceled)))
	if errors.Is(got, context.Canceled) || !errors.Is(got, registry.ErrUnavailable) {
		t.Errorf("%#v", got)
	}
}

func TestErrorOfANewerVersion(t *testing.T) {
	t.Parallel()
	text := wire.AppendString(nil, errorText, "text")
	news := wire.AppendUint(nil, errorSentinel, 1<<40)
	known := wire.AppendUint(nil, errorSentinel, 7)
	field := wire.AppendString(nil, 99, "new")
	join := func(parts ...[]byte) (b []byte) {
		for _, p := range parts {
			b = append(b, p...)
		}
		return b
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"an unknown sentinel", join(text, news, field), fmt.Errorf("text%w", hidden{registry.ErrTimeout})},
		{"an unknown sentinel beside a known one", join(text, news, known, field), fmt.Errorf("text%w", hidden{registry.ErrInvalid})},
		{"an unknown field", join(text, field, known), fmt.Errorf("text%w", hidden{registry.ErrInvalid})},
		{"no sentinel", join(text, field), errors.New("text")},
	} {
		got := decodeError(c.b)
		if got.Error() != c.want.Error() {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
		sameKind(t, got, c.want)
	}
}

// hidden is an error without its text.
type hidden struct{ error }

func (hidden) Error() string   { return "" }
func (h hidden) Unwrap() error { return h.error }

// TestEverySentinelHasANumber holds sentinelNumbers against the source of registry:
// every sentinel has a number, and its own.
func TestEverySentinelHasANumber(t *testing.T) {
	t.Parallel()
	f, err := parser.ParseFile(token.NewFileSet(), "../registry/errors.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	declared := map[string]bool{}
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok != token.VAR {
			continue
		}
		for _, spec := range g.Specs {
			v := spec.(*ast.ValueSpec)
			for i := range v.Names {
				lit := v.Values[i].(*ast.CallExpr).Args[0].(*ast.BasicLit)
				declared[strings.Trim(lit.Value, `"`)] = true
			}
		}
	}
	if len(declared) < 30 {
		t.Fatalf("only %d sentinels were found in the source", len(declared))
	}
	numbers := map[uint64]bool{}
	for _, s := range sentinelNumbers {
		if s.number == 0 || numbers[s.number] {
			t.Errorf("%v has the number %d, which is taken or means nothing", s.err, s.number)
		}
		numbers[s.number] = true
		if !declared[s.err.Error()] {
			t.Errorf("%v is there twice, or is not in registry/errors.go", s.err)
		}
		delete(declared, s.err.Error())
	}
	for text := range declared {
		t.Errorf("the sentinel %q has no number: give it the next in sentinelNumbers, or it loses what it is between servers", text)
	}
}

// TestErrorGolden pins the bytes but for the text: servers of several versions speak to
// each other.
func TestErrorGolden(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err  error
		want string
	}{
		{registry.ErrExecDisabled, "1021"},
		{errors.Join(registry.ErrTimeout, registry.ErrNoLeader), "100e 1010"},
		{&registry.CompactedError{Space: 1, Lowest: 5}, "1005 1a04 0801 100a"},
		{&registry.RequireError{Op: 2, Have: registry.KeyValue{Key: "k"}}, "1006 2207 0804 1203 0a016b"},
	} {
		text := hex.EncodeToString(wire.AppendString(nil, errorText, c.err.Error()))
		if got, want := hex.EncodeToString(encodeError(c.err)), text+strings.ReplaceAll(c.want, " ", ""); got != want {
			t.Errorf("%v: %s, want %s", c.err, got, want)
		}
	}
}

func FuzzDecodeError(f *testing.F) {
	f.Add([]byte{})
	f.Add(encodeError(&registry.CompactedError{Space: 1, Lowest: 5}))
	f.Add(encodeError(fmt.Errorf("at: %w", &registry.RequireError{Op: 2, Have: registry.KeyValue{Key: "k"}})))
	f.Add(encodeError(errors.Join(registry.ErrTimeout, registry.ErrStopped)))
	f.Add(wire.AppendUint(nil, errorSentinel, 99))
	f.Fuzz(func(t *testing.T, b []byte) {
		got := decodeError(b)
		again := decodeError(encodeError(got))
		if again.Error() != got.Error() {
			t.Fatalf("%q became %q", got, again)
		}
		sameKind(t, again, got)
	})
}
