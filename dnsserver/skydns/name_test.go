package skydns

import (
	"strings"
	"testing"
)

func TestPrefix(t *testing.T) {
	for given, want := range map[string]string{"/skydns": "/skydns/", "/skydns/": "/skydns/", "skydns": "skydns/", "/a/b//": "/a/b/"} {
		if p, err := ParsePrefix(given); err != nil || p.String() != want {
			t.Errorf("%q is %q, %v", given, p, err)
		}
	}
	for _, none := range []string{"", "/", "//"} {
		if p, err := ParsePrefix(none); err == nil {
			t.Errorf("%q is %q", none, p)
		}
	}
}

func TestPathsOfKeys(t *testing.T) {
	for key, want := range map[string]string{
		"/skydns/local":                                     "local",
		"/skydns/local/skydns/":                             "skydns.local",
		"/skydns/local/skydns/east/1":                       "1.east.skydns.local",
		"/skydns/Local/SkyDNS/X":                            "x.skydns.local",
		"/skydns/local/*/any":                               "any.*.local",
		"/skydns/arpa/in-addr/10/0/0/127":                   "127.0.0.10.in-addr.arpa",
		"/skydns/local/_tcp/_http":                          "_http._tcp.local",
		"/skydns/" + strings.Repeat("a/", 126) + "a":        strings.Repeat("a.", 126) + "a",
		"/skydns/" + strings.Repeat("b", 63) + "/\xff \x01": "\xff \x01." + strings.Repeat("b", 63),
	} {
		if got, err := usual.path(key); err != nil || got != pathOf(t, want) {
			t.Errorf("%q is %q, %v; want %q", key, got, err, pathOf(t, want))
		}
	}
	for key, want := range map[string]error{
		"/skydns/": errNoLabel, "/skydns//": errNoLabel, "/skydns/a//b": errLabel, "/skydns//a": errLabel, "/skydns/a//": errLabel,
		"/skydns/a.b": errLabel, "/skydns/a\x00": errLabel, "/skydns/" + strings.Repeat("a", 64): errLabel,
		"/skydns/" + strings.Repeat("a/", 128): errLong, "/skydns/" + strings.Repeat("a/", 127) + "a": errLong,
		"/skydns": errElsewhere, "/skydnsx/a": errElsewhere, "skydns/a": errElsewhere,
	} {
		if got, err := usual.path(key); err != want {
			t.Errorf("%q is %q, %v; want %v", key, got, err, want)
		}
	}
}

// FuzzKey: a key is a name that leads back to it, but for letters' case and a slash at the end, or it is refused.
func FuzzKey(f *testing.F) {
	for _, key := range []string{"/skydns/local/skydns/x", "/skydns/a/", "/skydns/A/b", "/skydns//", "/skydns/a.b", "/skydns/\x00"} {
		f.Add(key)
	}
	f.Fuzz(func(t *testing.T, key string) {
		path, err := usual.path(key)
		order, size, orderErr := usual.recordKey(key)
		if (err == nil) != (orderErr == nil) {
			t.Fatalf("%q: %v and %v", key, err, orderErr)
		}
		if err != nil {
			return
		}
		if order[:size] != path || order[size] != 0 {
			t.Errorf("%q is ordered by %q; its path is %q", key, order, path)
		}
		if len(path) > maxPath || strings.ContainsAny(path, "./ABCDEFGHIJKLMNOPQRSTUVWXYZ") || strings.Contains("\x00"+path, "\x00\x00") {
			t.Errorf("%q has the path %q", key, path)
		}
		// The only bytes that fold are those of ASCII letters.
		folded := []byte(strings.TrimSuffix(key, "/"))
		for i := len(usual.text); i < len(folded); i++ {
			if 'A' <= folded[i] && folded[i] <= 'Z' {
				folded[i] += 'a' - 'A'
			}
		}
		if back := usual.canonical(path); back != string(folded) {
			t.Errorf("%q has the path %q, which is written as %q", key, path, back)
		}
	})
}
