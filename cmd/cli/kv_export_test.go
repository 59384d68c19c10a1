package cli

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"herald/client"
	"herald/registry"
)

func TestExportAndImport(t *testing.T) {
	url, c := door(t)
	want := []registry.KeyValue{
		{Key: "app/a", Value: []byte("<b>&"), Flags: 7},
		{Key: "app/bytes", Value: []byte{0, 0xff, '\n'}},
		{Key: "app/empty"},
	}
	for i := range 300 {
		want = append(want, registry.KeyValue{Key: "app/z/" + strings.Repeat("k", i+1), Value: []byte("v")})
	}
	want = append(want, registry.KeyValue{Key: "app/ö \"x\"", Value: []byte("ü"), Flags: 1<<64 - 1})
	if n, err := c.KV().PutAll(t.Context(), want); err != nil {
		t.Fatal(n, err)
	}
	put(t, c, "other", "x")
	text, stderr, status := run("kv", "export", "app/", "--server", url)
	if status != 0 {
		t.Fatalf("status %d: %s", status, stderr)
	}
	if !strings.HasPrefix(text, "[\n\t{\n\t\t\"key\": \"app/a\",\n\t\t\"flags\": 7,\n\t\t\"value\": \"PGI+Jg==\"\n\t},") || !strings.Contains(text, `"value": ""`) {
		t.Errorf("exported:\n%.400s", text)
	}
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{file, "@" + file} { // the second time it changes nothing
		if _, stderr, status := run("kv", "import", name, "--prefix", "copy/", "--server", url); status != 0 || stderr != "imported 304 keys\n" {
			t.Fatalf("status %d: %s", status, stderr)
		}
	}
	kvs, _, err := c.KV().List(t.Context(), "copy/", client.ReadOptions{})
	if err != nil || len(kvs) != len(want) {
		t.Fatalf("%d keys of %d: %v", len(kvs), len(want), err)
	}
	for i, kv := range kvs {
		got := registry.KeyValue{Key: strings.TrimPrefix(kv.Key, "copy/"), Value: kv.Value, Flags: kv.Flags}
		if w := want[i]; got.Key != w.Key || string(got.Value) != string(w.Value) || got.Flags != w.Flags {
			t.Errorf("%q is %q with flags %d, want %q is %q with %d", got.Key, got.Value, got.Flags, w.Key, w.Value, w.Flags)
		}
	}
}

func TestParseExport(t *testing.T) {
	for name, tc := range map[string]struct {
		text string
		want []registry.KeyValue
		err  string
	}{
		"as Consul writes it": {"[\n\t{\n\t\t\"key\": \"a\",\n\t\t\"flags\": 3,\n\t\t\"value\": \"dg==\",\n\t\t\"namespace\": \"default\"\n\t}\n]\n",
			[]registry.KeyValue{{Key: "p/a", Flags: 3, Value: []byte("v")}}, ""},
		"none":            {"[]", []registry.KeyValue{}, ""},
		"empty":           {"", nil, "not a list of keys"},
		"cut off":         {`[{"key":"a","flags":0,"value":"dg=="}`, nil, "not a list of keys"},
		"an object":       {`{"key":"a"}`, nil, "not a list of keys"},
		"no base64":       {`[{"key":"a","flags":0,"value":"%"}]`, nil, "not a list of keys"},
		"negative flags":  {`[{"key":"a","flags":-1,"value":""}]`, nil, "not a list of keys"},
		"no key":          {`[{"key":"a"},{"flags":0,"value":""}]`, nil, "entry 2 names no key"},
		"more behind it":  {`[] []`, nil, "something follows"},
		"garbage behind":  {`[] x`, nil, "something follows"},
		"a line after it": {"[]\n\n", []registry.KeyValue{}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := parseExport([]byte(tc.text), "p/")
			if tc.err == "" && err != nil || tc.err != "" && (err == nil || !strings.Contains(err.Error(), tc.err)) {
				t.Fatalf("error %v, want %q", err, tc.err)
			}
			if !reflect.DeepEqual(got, tc.want) {
				t.Errorf("%+v, want %+v", got, tc.want)
			}
		})
	}
}

func TestImportOfWhatIsRefused(t *testing.T) {
	url, c := door(t)
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(`[{"key":"a","value":"dg=="},{"key":"b","value":"%"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	_, stderr, status := run("kv", "import", file, "--server", url)
	if status != 1 || !strings.Contains(stderr, "nothing was written") || !strings.Contains(stderr, file) {
		t.Errorf("status %d: %s", status, stderr)
	}
	if kvs, _, err := c.KV().List(t.Context(), "", client.ReadOptions{}); err != nil || len(kvs) != 0 {
		t.Errorf("written: %+v %v", kvs, err)
	}
}
