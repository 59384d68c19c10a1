package skydns

import (
	"net/netip"
	"strings"
	"testing"
)

func TestParseValue(t *testing.T) {
	base := Value{Priority: 10, Weight: 100, TTL: 300}
	with := func(change func(*Value)) Value {
		v := base
		change(&v)
		return v
	}
	for text, want := range map[string]Value{
		`{}`:                              base,
		`null`:                            base,
		`{"host":"10.0.0.1"}`:             with(func(v *Value) { v.Address = netip.MustParseAddr("10.0.0.1") }),
		`{"host":"::ffff:10.0.0.1"}`:      with(func(v *Value) { v.Address = netip.MustParseAddr("10.0.0.1") }),
		`{"host":"2001:db8::1"}`:          with(func(v *Value) { v.Address = netip.MustParseAddr("2001:db8::1") }),
		`{"host":"a.Example.","port":-1}`: with(func(v *Value) { v.Host, v.Port = "a.example", NoPort }),
		`{"HOST":"a","unknown":[1]}`:      with(func(v *Value) { v.Host = "a" }),
		`{"port":65535,"priority":1,"weight":2,"text":"t","mail":true,"ttl":4,"targetstrip":5,"group":"g","key":"/else"}`: {
			Port: 65535, Priority: 1, Weight: 2, Text: "t", Mail: true, TTL: 4, TargetStrip: 5, Group: "g",
		},
		`{"ttl":4294967295}`: with(func(v *Value) { v.TTL = 1<<31 - 1 }),
	} {
		if got, err := ParseValue([]byte(text)); err != nil || got != want {
			t.Errorf("%s is %+v, %v; want %+v", text, got, err, want)
		}
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for text, why := range map[string]string{
		``:                        "not a record in JSON",
		`10.0.0.1`:                "not a record in JSON",
		`[]`:                      "not a record in JSON",
		`{"host":"a"} x`:          "not a record in JSON",
		`{"ttl":"60"}`:            "not a record in JSON",
		`{"ttl":-1}`:              "not a record in JSON",
		`{"port":65536}`:          "port is from -1 to 65535",
		`{"port":-2}`:             "port is from -1 to 65535",
		`{"priority":65536}`:      "priority is from 0 to 65535",
		`{"weight":-1}`:           "weight is from 0",
		`{"targetstrip":-1}`:      "targetstrip is from 0",
		`{"host":"a..b"}`:         `host "a..b" is neither`,
		`{"host":"."}`:            "is neither",
		`{"host":"fe80::1%eth0"}`: "", // no address, as in CoreDNS; a name, if an odd one
		`{"host":"` + strings.Repeat("a", 64) + `"}`:       "is neither",
		`{"host":"` + strings.Repeat("a.", 130) + `"}`:     "is neither",
		`{"text":"` + strings.Repeat("a", MaxValue) + `"}`: "at most 16384 are read",
	} {
		v, err := ParseValue([]byte(text))
		switch {
		case why == "" && (err != nil || v.Host == ""):
			t.Errorf("%s is %+v, %v", text, v, err)
		case why != "" && (err == nil || !strings.Contains(err.Error(), why)):
			t.Errorf("%.80s: %v; want %q", text, err, why)
		}
	}
}

// FuzzValue: what is taken is within what records can say.
func FuzzValue(f *testing.F) {
	f.Add([]byte(`{"host":"10.0.0.1","port":80,"priority":1,"weight":2,"text":"t","mail":true,"ttl":4,"targetstrip":5,"group":"g"}`))
	f.Add([]byte(`{"host":"a.example.","port":-1}`))
	f.Add([]byte(`{"ttl":1e3}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := ParseValue(b)
		if err != nil {
			if v != (Value{}) {
				t.Errorf("%q is refused, and %+v", b, v)
			}
			return
		}
		switch {
		case v.Address.IsValid() && v.Host != "", v.Address.Is4In6(), v.Address.Zone() != "",
			v.Port < NoPort || v.Port > 65535, v.Priority == 0, v.Weight == 0 || v.Weight > maxWeight, v.TTL == 0 || v.TTL > maxTTL,
			v.TargetStrip < 0, v.Host != "" && !isHostName(v.Host), len(b) > MaxValue:
			t.Errorf("%q is %+v", b, v)
		}
	})
}
