package definition

import (
	"errors"
	"reflect"
	"testing"

	"herald/registry"
)

var seeds = []string{
	`{"Name":"web","ID":"w","Tags":["a"],"Port":80,"Meta":{"a":"b"},"TaggedAddresses":{"lan":{"Address":"a","Port":1}},"Weights":{"Passing":2}}`,
	`{"service":{"name":"web","check":{"http":"http://x","interval":"10s","header":{"a":["b"],"c":"d"},"tls_skip_verify":true}}}`,
	`{"services":[{"name":"a","checks":[{"ttl":"1s"},{"args":["x"],"interval":1000000000}]}],"check":{"name":"c","script":"x","interval":"1s"}}`,
	`{"Name":"c","Kind":"banner","Spec":{"a":[1,2.5,null,{"b":"\u00e9"}]},"Interval":"1s","DeregisterCriticalServiceAfter":"10s"}`,
	`{"Name":"c","TTL":"10s","Status":"passing"}`, `{"a":"\ud800"}`, `[`, "\xff", `{"Name":"\"\\"}`,
}

// Whatever the bytes, there is a definition or an Error; and a definition that was
// accepted survives being written and read.
func FuzzParseService(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _, err := ParseService(b)
		if err != nil {
			wantError(t, err)
			return
		}
		if d.Name == "" || d.Port < 0 || d.Port > 65535 {
			t.Errorf("accepted %+v", d)
		}
		sameAgain(t, d)
	})
}

func FuzzParseCheck(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, _, err := ParseCheck(b)
		if err != nil {
			wantError(t, err)
			return
		}
		if d.Name == "" || d.ID == "" || d.Kind == "" || (d.Kind == "ttl") != (d.TTL > 0) || d.Kind != "ttl" && d.Interval <= 0 {
			t.Errorf("accepted %+v", d)
		}
		out, err := MarshalCheck(d)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := UnmarshalCheck(out); err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%s: %v\ngot  %#v\nwant %#v", out, err, again, d)
		}
	})
}

func FuzzParseFile(f *testing.F) {
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := ParseFile("f.json", b)
		if err != nil {
			wantError(t, err)
			return
		}
		ids := map[string]bool{}
		for _, s := range d.Services {
			if id := serviceID(&s); ids[id] {
				t.Errorf("two services have the id %q", id)
			} else {
				ids[id] = true
			}
			sameAgain(t, s)
		}
	})
}

func wantError(t *testing.T, err error) {
	t.Helper()
	var e *Error
	if !errors.As(err, &e) || !errors.Is(err, registry.ErrInvalidDefinition) || e.Text == "" || e.Line < 1 || e.Column < 1 {
		t.Errorf("%#v is no Error with a place", err)
	}
}

func sameAgain(t *testing.T, d registry.ServiceDefinition) {
	t.Helper()
	out, err := Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := Unmarshal(out); err != nil || !reflect.DeepEqual(again, d) {
		t.Errorf("%s: %v\ngot  %#v\nwant %#v", out, err, again, d)
	}
}
