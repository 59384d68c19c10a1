package registry

import (
	"bytes"
	"strings"
	"testing"
)

func TestKeyRange(t *testing.T) {
	type is struct{ one, unbounded, empty bool }
	for _, c := range []struct {
		name    string
		r       KeyRange
		is      is
		in, out []string
	}{
		{"one key", One("a"), is{one: true}, []string{"a"}, []string{"", "a\x00", "b", "`"}},
		{"all", All(), is{unbounded: true}, []string{"", "\x00", "a", "\xff\xff"}, nil},
		{"from a key", From("b"), is{unbounded: true}, []string{"b", "b\x00", "\xff"}, []string{"", "a\xff"}},
		{"between", KeyRange{"a", "c"}, is{}, []string{"a", "a\x00", "b", "bzz"}, []string{"", "c", "c\x00", "\xff"}},
		{"end at start", KeyRange{"a", "a"}, is{empty: true}, nil, []string{"a", "", "b"}},
		{"end before start", KeyRange{"c", "a"}, is{empty: true}, nil, []string{"a", "b", "c", "d"}},
		{"up to a key", KeyRange{"", "b"}, is{}, []string{"", "a"}, []string{"b"}},
		{"prefix", Prefix("ab"), is{}, []string{"ab", "ab\x00", "abc", "ab\xff\xff"}, []string{"a", "aa\xff", "ac", "b"}},
		{"prefix of 0xff", Prefix("a\xff"), is{}, []string{"a\xff", "a\xff\xff\xff"}, []string{"a", "a\xfe", "b"}},
		{"prefix of nothing else", Prefix("\xff\xff"), is{unbounded: true}, []string{"\xff\xff", "\xff\xff\xff"}, []string{"\xff", "\xff\xfe", "a"}},
		{"prefix of everything", Prefix(""), is{unbounded: true}, []string{"", "a", "\xff"}, nil},
		{"prefix that ends in 0", Prefix("a\x00"), is{}, []string{"a\x00", "a\x00z"}, []string{"a", "a\x01"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := (is{c.r.IsOne(), c.r.Unbounded(), c.r.Empty()}); got != c.is {
				t.Errorf("%+v, want %+v", got, c.is)
			}
			for _, k := range c.in {
				if !c.r.Contains(k) {
					t.Errorf("%q is not in %q", k, c.r)
				}
			}
			for _, k := range c.out {
				if c.r.Contains(k) {
					t.Errorf("%q is in %q", k, c.r)
				}
			}
		})
	}
}

// FuzzPrefix has Prefix agree with what a prefix is.
func FuzzPrefix(f *testing.F) {
	f.Add([]byte("a"), []byte("ab"))
	f.Add([]byte{0xff, 0xff}, []byte{0xff, 0xff, 0})
	f.Add([]byte{1, 0xff}, []byte{2})
	f.Fuzz(func(t *testing.T, p, k []byte) {
		r := Prefix(string(p))
		if got, want := r.Contains(string(k)), strings.HasPrefix(string(k), string(p)); got != want {
			t.Errorf("Prefix(%q) = %q, contains %q: %v", p, r, k, got)
		}
		if !r.Contains(string(p)+string(k)) || r.Empty() {
			t.Errorf("Prefix(%q) = %q does not contain %q", p, r, append(bytes.Clone(p), k...))
		}
	})
}
