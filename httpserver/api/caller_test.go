package api_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"herald/httpserver/api"
	"herald/registry"
)

func TestReasonsThatCallersMayGive(t *testing.T) {
	for r := registry.ReasonClient; r <= registry.ReasonSystem; r++ {
		mine := r == registry.ReasonLeaseEnd || r == registry.ReasonOperator || r == registry.ReasonSystem
		text, ok := api.FormatReason(r)
		if ok == mine {
			t.Errorf("%v may be given: %v", r, ok)
		}
		if got, ok := api.ParseReason(text); ok == mine || ok && got != r {
			t.Errorf("%q is read as %v (%v)", text, got, ok)
		}
	}
	for _, text := range []string{"", "Check", "whim"} {
		if r, ok := api.ParseReason(text); ok {
			t.Errorf("%q is read as %v", text, r)
		}
	}
}

func FuzzIdentity(f *testing.F) {
	for _, who := range []string{"", "agent:web-1", "100%", "%zz", "a\nb", "ü@x", "\xff", strings.Repeat("ü", 200) + "x"} {
		f.Add(who)
	}
	f.Fuzz(func(t *testing.T, who string) {
		header := api.FormatIdentity(who)
		for _, c := range []byte(header) {
			if c <= ' ' || c > '~' {
				t.Fatalf("%q has byte %#x in its header %q", who, c, header)
			}
		}
		if got := api.ParseIdentity(header); utf8.ValidString(who) && len(who) <= api.MaxIdentity && got != who {
			t.Errorf("%q arrives as %q", who, got)
		}
		if got := api.ParseIdentity(who); len(got) > api.MaxIdentity || !utf8.ValidString(got) {
			t.Errorf("%q is read as %q", who, got)
		}
	})
}
