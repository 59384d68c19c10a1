package document

import (
	"errors"
	"maps"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Whatever keys a format can spell, it gives back, typed or not, and spells the same
// again.
func TestRoundTrip(t *testing.T) {
	for _, f := range formats {
		t.Run(f.Name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				name := rapid.OneOf(rapid.StringMatching(`[a-z][a-z0-9]{0,3}`), rapid.StringN(1, 4, -1))
				if f.Name == "env" {
					name = rapid.StringMatching(`[A-Za-z][A-Za-z0-9]{0,2}(_[a-z0-9]{1,2})?`)
				}
				path := rapid.Map(rapid.SliceOfN(name, 1, 3), func(p []string) string { return strings.Join(p, "/") })
				value := rapid.OneOf(rapid.String(), rapid.StringMatching(`-?[0-9]{1,20}(\.[0-9]{1,6})?`),
					rapid.SampledFrom([]string{"", "true", "null", "~", "1e5", "0x1", "on", " a ", "a\nb\n", "\n", "'", `\`, "#", "2026-11-23", "a: b", "$x", "\x7f\u0085\u2028\ufeff"}))
				keys := rapid.MapOfN(path, value, 0, 6).Draw(t, "keys")
				typed := rapid.Bool().Draw(t, "typed")
				b, err := f.Render(keys, typed)
				if err != nil {
					if !errors.Is(err, ErrDocument) {
						t.Fatal(err)
					}
					return
				}
				// The marks of folders have no place in a document.
				maps.DeleteFunc(keys, func(key, value string) bool { return value == "" && strings.HasSuffix(key, "/") })
				if len(keys) == 0 {
					return
				}
				back, err := f.Parse(b)
				if err != nil {
					t.Fatalf("%v:\n%s", err, b)
				}
				if !maps.Equal(keys, back) {
					t.Fatalf("%q\ncomes back as\n%q:\n%s", keys, back, b)
				}
				if again, err := f.Render(back, typed); err != nil || string(again) != string(b) {
					t.Fatalf("rendered again: %v\n%s\nand was\n%s", err, again, b)
				}
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	for _, c := range []struct{ format, doc, want string }{
		{"json", `{"a":1,"a":2}`, `"a" is there twice`},
		{"json", `{"a":null}`, `"a" is null`},
		{"json", `7`, "has no names"},
		{"json", `{"a/b":1}`, `"a/b" is empty or has a slash`},
		{"json", `{"a":1} x`, "more after"},
		{"json", strings.Repeat(`{"a":`, 100000), "nested deeper"},
		{"yaml", "a: [1]", `"a" is a list`},
		{"yaml", "a: &x 1\nb: *x", `"b" is an alias`},
		{"yaml", "a:", `"a" is a !!null`},
		{"yaml", "a: 1\n---\nb: 1", "more after"},
		{"toml", "a = [1]", `"a" is a list`},
		{"toml", "a = 1\na = 2", "invalid document"},
		{"env", "a=$HOME", "single quotes"},
		{"env", "a='x", "not closed"},
		{"env", "a=x y", "spaces"},
		{"env", "a b", "want NAME=value"},
		{"env", "a=1\na__b=2", `key "a" is a value`},
		{"properties", "a=1\na.b=2", `key "a" is a value`},
		{"properties", `a=\u12`, "four hexadecimal digits"},
		{"properties", "\xff", "not UTF-8"},
	} {
		f, _ := Named(c.format)
		if _, err := f.Parse([]byte(c.doc)); !errors.Is(err, ErrDocument) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s %.40q: %v, want one with %q", c.format, c.doc, err, c.want)
		}
	}
}

func TestSpellings(t *testing.T) {
	for _, c := range []struct {
		format, doc string
		want        map[string]string
	}{
		{"env", "# c\nexport a=\"x \\\"y\\\" \\$\" # c\n\nb='it'\\''s'\r\nc=", map[string]string{"a": `x "y" $`, "b": "it's", "c": ""}},
		{"properties", "! c\na.b : 1\\\n   2\nc\nd\\ e\t=\\u00e9\\ud83d\\ude00", map[string]string{"a/b": "12", "c": "", "d e": "é😀"}},
		{"yaml", "a: 0x10\nb: 2026-11-23\nc: 1.0", map[string]string{"a": "0x10", "b": "2026-11-23", "c": "1.0"}},
		{"toml", "a = 1.5\nb = true\nc = 2026-11-23", map[string]string{"a": "1.5", "b": "true", "c": "2026-11-23"}},
		{"json", `{"a":1.0,"b":{}}`, map[string]string{"a": "1.0"}},
	} {
		f, _ := Named(c.format)
		if got, err := f.Parse([]byte(c.doc)); err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s %q: %q, %v; want %q", c.format, c.doc, got, err, c.want)
		}
	}
}

// A document that is all one line, in very many pieces, takes no longer for it.
func TestLongProperty(t *testing.T) {
	f, _ := Named("properties")
	const pieces = 1 << 20
	got, err := f.Parse([]byte("a=" + strings.Repeat("b\\\n", pieces)))
	if err != nil || got["a"] != strings.Repeat("b", pieces) {
		t.Errorf("a value of %d pieces has %d bytes, %v", pieces, len(got["a"]), err)
	}
}

// What can be read at all can be spelled, if the names allow it, and read again.
func FuzzParse(f *testing.F) {
	for i, seed := range []string{`{"a":{"b":1}}`, "a:\n  b: 1\n", "[a]\nb = 1\n", "a__b='1'\n", "a.b=\\u00e9\\\n x\n"} {
		f.Add(i, []byte(seed))
	}
	f.Fuzz(func(t *testing.T, which int, b []byte) {
		format := formats[uint(which)%uint(len(formats))]
		values, err := format.Parse(b)
		if err != nil {
			if !errors.Is(err, ErrDocument) {
				t.Fatal(err)
			}
			return
		}
		if len(values) == 0 {
			return
		}
		out, err := format.Render(values, false)
		if err != nil {
			return
		}
		if back, err := format.Parse(out); err != nil || !maps.Equal(values, back) {
			t.Fatalf("%q comes back as %q, %v:\n%s", values, back, err, out)
		}
	})
}
