package httpserver

import (
	"io"
	"strings"
	"testing"
	"time"

	"herald/httpserver/api"
)

// newStalledBody is a body of which a byte comes and then nothing until end.
func newStalledBody() (body io.Reader, end func()) {
	r, w := io.Pipe()
	go func() { _, _ = w.Write([]byte("x")) }()
	return r, func() { _ = w.Close(); _ = r.Close() }
}

func TestDecodeJSONSaysWhere(t *testing.T) {
	for _, tc := range []struct{ body, want string }{
		{``, "Request decode failed: the document ends too early, at line 1, column 1 (byte 0)"},
		{`{"Node":`, "Request decode failed: the document ends too early, at line 1, column 8 (byte 8)"},
		{"{\n  \"Node\": nope}", "Request decode failed: invalid character 'o' in literal null (expecting 'u'), at line 2, column 12 (byte 14)"},
		{"{\n  \"Node\": 7}", "at line 2, column "},
		{`{"Node":"n"} {}`, "there is more after the document, at line 1, column "},
		{`{"Bogus":1}`, `Request decode failed: json: unknown field "Bogus"`},
		{`[]`, "cannot unmarshal array"},
	} {
		var v api.CatalogRegistration
		err := decodeJSON([]byte(tc.body), &v, true)
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q:\n got %v\nwant %s", tc.body, err, tc.want)
		}
		if status, _, known := statusOf(err); status != 400 || !known {
			t.Errorf("%q: status %d", tc.body, status)
		}
	}
}

func FuzzDecodeRegistration(f *testing.F) {
	f.Add([]byte(`{"Node":"n","Address":"10.0.0.1","Service":{"Service":"web","Port":80,"Weights":{"Passing":1,"Warning":1}},"Check":{"Name":"c","Definition":{"Interval":"10s","Timeout":3000000000}}}`))
	f.Add([]byte(`{"Node":"n","Address":"a","Service":{"Service":"w","Proxy":{"Mode":"","Expose":{}},"Kind":""}}`))
	f.Add([]byte(`{"Node":"n","SkipNodeUpdate":true,"Checks":[{"CheckID":"x","ServiceID":"s","Interval":"1h"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var body api.CatalogRegistration
		err := decodeJSON(b, &body, true)
		if err == nil {
			var r *registration
			if r, err = newRegistration(&body, emptyCatalog.Index()); err == nil {
				if tx := r.txn(0); !tx.Writes() {
					t.Fatalf("a registration that writes nothing: %s", b)
				}
				return
			}
		}
		if status, text, known := statusOf(err); status < 400 || text == "" || !known {
			t.Fatalf("%q is answered with %d %q", b, status, text)
		}
	})
}

func FuzzParams(f *testing.F) {
	for _, q := range []string{"", "raw", "a=1&a=2&b", "index=5&wait=10s&stale", "tag=a%20b&tag=c+d", "%", "&&=&=x", "k=%zz"} {
		f.Add(q)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		var p params
		if p.parse(raw) != nil {
			return
		}
		for _, kv := range p.pairs {
			first, ok := p.lookup(kv.key)
			if all := p.all(kv.key); !ok || len(all) == 0 || all[0] != first {
				t.Fatalf("%q: %q is not found as it is listed", raw, kv.key)
			}
		}
		o, err := parseReadOptions(&p)
		if err != nil {
			if status, text, _ := statusOf(err); status != 400 || text == "" {
				t.Fatalf("%q is answered with %d %q", raw, status, text)
			}
			return
		}
		if o.wait <= 0 || o.wait > maxWait {
			t.Fatalf("%q waits %v", raw, o.wait)
		}
	})
}

func TestParamsAgreeWithURL(t *testing.T) {
	var p params
	if err := p.parse("a=1&b=x%20y&a=2&c&d=+&tag=ü"); err != nil {
		t.Fatal(err)
	}
	if p.get("a") != "1" || strings.Join(p.all("a"), ",") != "1,2" || p.get("b") != "x y" || !p.has("c") || p.has("e") || p.get("d") != " " || p.get("tag") != "ü" {
		t.Errorf("parsed as %v", p.pairs)
	}
	if p.first("e", "a") != "1" {
		t.Errorf("first is %q", p.first("e", "a"))
	}
}

func TestReadOptionsBounds(t *testing.T) {
	for wait, want := range map[string]time.Duration{"": defaultWait, "0s": defaultWait, "1h": maxWait, "0.5s": 500 * time.Millisecond} {
		var p params
		if err := p.parse("wait=" + wait); err != nil {
			t.Fatal(err)
		}
		if o, err := parseReadOptions(&p); err != nil || o.wait != want {
			t.Errorf("wait=%s is %v (%v), want %v", wait, o.wait, err, want)
		}
	}
}

// bodyOf is a request's body, nil for none.
func bodyOf(s string) io.Reader {
	if s == "" {
		return nil
	}
	return strings.NewReader(s)
}
