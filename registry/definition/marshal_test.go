package definition

import (
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"herald/registry"
)

func TestMarshalIsConsulsForm(t *testing.T) {
	d := registry.ServiceDefinition{
		ID: "w1", Name: "web", Port: 80, Weights: &registry.Weights{Passing: 2},
		Checks: []registry.CheckDefinition{
			{ID: "c1", Kind: "http", Interval: 10 * time.Second, Spec: map[string]any{"url": "http://x/", "header": map[string][]string{"A": {"b"}}}},
			{Kind: "exec", Interval: time.Second, Spec: map[string]any{"args": []string{"true"}}},
			{Kind: "ttl", TTL: time.Minute, DeregisterAfter: time.Hour},
			{Kind: "http", Interval: time.Second, Spec: map[string]any{"url": "http://x/", "retries": 3}},
			{Kind: "tcp", Interval: time.Second, Spec: map[string]any{"address": "x:1", "use_tls": true}},
			{Kind: "udp", Interval: time.Second, Spec: map[string]any{"address": "x:1"}},
			{Kind: "grpc", Interval: time.Second, Spec: map[string]any{"target": "x:1/s", "tls_skip_verify": true}},
			{Kind: "h2ping", Interval: time.Second, Spec: map[string]any{"address": "x:1", "use_tls": false}},
			{Kind: "h2ping", Interval: time.Second, Spec: map[string]any{"address": "x:1", "use_tls": "no"}},
			{Kind: "alias", Spec: map[string]any{"service": "db", "node": "n2"}},
		},
	}
	const want = `{"ID":"w1","Name":"web","Port":80,"Weights":{"Passing":2,"Warning":0},"Checks":[` +
		`{"CheckID":"c1","Interval":"10s","HTTP":"http://x/","Header":{"A":["b"]}},` +
		`{"Interval":"1s","Args":["true"]},` +
		`{"TTL":"1m0s","DeregisterCriticalServiceAfter":"1h0m0s"},` +
		`{"Interval":"1s","Kind":"http","Spec":{"retries":3,"url":"http://x/"}},` +
		`{"Interval":"1s","TCP":"x:1","TCPUseTLS":true},` +
		`{"Interval":"1s","UDP":"x:1"},` +
		`{"Interval":"1s","TLSSkipVerify":true,"GRPC":"x:1/s"},` +
		`{"Interval":"1s","H2PING":"x:1","H2PingUseTLS":false},` +
		`{"Interval":"1s","Kind":"h2ping","Spec":{"address":"x:1","use_tls":"no"}},` +
		`{"AliasService":"db","AliasNode":"n2"}]}`
	got, err := Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestMarshalRefusesWhatJSONCannotCarry(t *testing.T) {
	_, err := MarshalCheck(registry.CheckDefinition{Kind: "x", Spec: map[string]any{"n": math.NaN()}})
	if err == nil {
		t.Error("NaN was written")
	}
}

// An accepted definition comes back as it was, of whatever kind its checks are.
func TestMarshalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawService(t)
		b, err := Marshal(want)
		if err != nil {
			t.Fatal(err)
		}
		got, err := Unmarshal(b)
		if err != nil {
			t.Fatalf("%s: %v", b, err)
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s\ngot  %#v\nwant %#v", b, got, want)
		}
		for _, c := range want.Checks {
			b, err := MarshalCheck(c)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := UnmarshalCheck(b); err != nil || !reflect.DeepEqual(got, c) {
				t.Fatalf("%s: %v\ngot  %#v\nwant %#v", b, err, got, c)
			}
		}
	})
}

func drawService(t *rapid.T) registry.ServiceDefinition {
	str := rapid.StringN(0, 6, -1)
	d := registry.ServiceDefinition{
		ID: str.Draw(t, "id"), Name: str.Draw(t, "name"), Address: str.Draw(t, "address"), Port: rapid.IntRange(0, 65535).Draw(t, "port"),
		EnableTagOverride: rapid.Bool().Draw(t, "override"), SocketPath: str.Draw(t, "socket"),
	}
	for range rapid.IntRange(0, 2).Draw(t, "tags") {
		d.Tags = append(d.Tags, str.Draw(t, "tag"))
	}
	if rapid.Bool().Draw(t, "maps") {
		d.Meta = map[string]string{str.Draw(t, "key"): str.Draw(t, "value")}
		d.TaggedAddresses = map[string]registry.ServiceAddress{str.Draw(t, "tagged"): {Address: str.Draw(t, "a"), Port: 1}}
		d.Weights = &registry.Weights{Passing: rapid.IntRange(1, 9).Draw(t, "passing"), Warning: rapid.IntRange(0, 9).Draw(t, "warning")}
	}
	for range rapid.IntRange(0, 3).Draw(t, "checks") {
		d.Checks = append(d.Checks, drawCheck(t))
	}
	return d
}

func drawCheck(t *rapid.T) registry.CheckDefinition {
	str := rapid.StringN(0, 6, -1)
	word := rapid.StringN(1, 6, -1)
	span := func(name string) time.Duration { return time.Duration(rapid.Int64().Draw(t, name)) }
	d := registry.CheckDefinition{
		ID: str.Draw(t, "id"), Name: str.Draw(t, "name"), Notes: str.Draw(t, "notes"), ServiceID: str.Draw(t, "service"),
		Interval: span("interval"), Timeout: span("timeout"), DeregisterAfter: span("deregister"),
		Status:               registry.HealthStatus(rapid.SampledFrom([]string{"", "passing", "critical"}).Draw(t, "status")),
		SuccessBeforePassing: rapid.IntRange(0, 3).Draw(t, "success"), OutputMaxSize: rapid.IntRange(0, 3).Draw(t, "size"),
	}
	switch rapid.IntRange(0, 6).Draw(t, "kind") {
	case 0:
		d.Kind, d.Spec = "http", map[string]any{"url": word.Draw(t, "url")}
		if rapid.Bool().Draw(t, "options") {
			d.Spec["method"] = word.Draw(t, "method")
			d.Spec["header"] = map[string][]string{str.Draw(t, "h"): {str.Draw(t, "v")}}
			d.Spec["tls_skip_verify"] = true
		}
	case 1:
		d.Kind, d.Spec = "tcp", map[string]any{"address": word.Draw(t, "address")}
	case 2:
		d.Kind, d.Spec = "exec", map[string]any{"args": []string{str.Draw(t, "arg")}}
	case 3:
		d.Kind, d.Spec = "exec", map[string]any{"shell": word.Draw(t, "line")}
	case 4:
		d.Kind, d.TTL = "ttl", max(1, span("ttl"))
	case 5:
		// Not what the fields of the form can say.
		d.Kind, d.Spec = "http", map[string]any{"url": 1.5, "header": map[string]any{"a": []any{"b"}}}
	default:
		d.Kind = word.Draw(t, "kind name")
		if rapid.Bool().Draw(t, "spec") {
			d.Spec = map[string]any{}
		}
	}
	return d
}
