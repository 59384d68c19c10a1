package definition

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

func TestParseService(t *testing.T) {
	for name, test := range map[string]struct {
		in       string
		want     registry.ServiceDefinition
		warnings []string
	}{
		"only a name": {in: `{"Name":"web"}`, want: registry.ServiceDefinition{Name: "web"}},
		"every field": {
			in: `{"ID":"web-1","Name":"web","Tags":["v1","blue"],"Port":8080,"Address":"10.8.0.1","Meta":{"team":"core"},
				"TaggedAddresses":{"wan":{"address":"198.18.0.1","port":80}},"Weights":{"Passing":5,"Warning":2},
				"EnableTagOverride":true,"SocketPath":"/run/web","Check":{"TTL":"600s","Status":"passing","Notes":"n"}}`,
			want: registry.ServiceDefinition{
				ID: "web-1", Name: "web", Tags: []string{"v1", "blue"}, Port: 8080, Address: "10.8.0.1",
				Meta:            map[string]string{"team": "core"},
				TaggedAddresses: map[string]registry.ServiceAddress{"wan": {Address: "198.18.0.1", Port: 80}},
				Weights:         &registry.Weights{Passing: 5, Warning: 2}, EnableTagOverride: true, SocketPath: "/run/web",
				Checks: []registry.CheckDefinition{{Kind: "ttl", TTL: 600 * time.Second, Status: "passing", Notes: "n"}},
			},
		},
		"lower case, as Patroni sends": {
			in:   `{"name":"pg","id":"pg/1","checks":[{"http":"http://x/","interval":"5s","deregistercriticalserviceafter":"750s"}],"enabletagoverride":true}`,
			want: registry.ServiceDefinition{ID: "pg/1", Name: "pg", EnableTagOverride: true, Checks: []registry.CheckDefinition{{Kind: "http", Interval: 5 * time.Second, DeregisterAfter: 750 * time.Second, Spec: map[string]any{"url": "http://x/"}}}},
		},
		"snake case": {
			in:   `{"name":"web","tagged_addresses":{"lan":{"Address":"a"}},"check":{"tcp":"x:1","interval":"1s","success_before_passing":2}}`,
			want: registry.ServiceDefinition{Name: "web", TaggedAddresses: map[string]registry.ServiceAddress{"lan": {Address: "a"}}, Checks: []registry.CheckDefinition{{Kind: "tcp", Interval: time.Second, SuccessBeforePassing: 2, Spec: map[string]any{"address": "x:1"}}}},
		},
		"null is absent": {
			in:   `{"Name":"web","ID":null,"Tags":null,"Check":null,"Checks":null,"Weights":null,"Meta":{"a":null},"Proxy":null}`,
			want: registry.ServiceDefinition{Name: "web"},
		},
		"an empty check is none":     {in: `{"Name":"web","Check":{}}`, want: registry.ServiceDefinition{Name: "web"}},
		"one weight":                 {in: `{"Name":"web","Weights":{"Passing":7}}`, want: registry.ServiceDefinition{Name: "web", Weights: &registry.Weights{Passing: 7, Warning: 1}}},
		"a zero warning weight":      {in: `{"Name":"web","Weights":{"Passing":1,"Warning":0}}`, want: registry.ServiceDefinition{Name: "web", Weights: &registry.Weights{Passing: 1}}},
		"what says nothing":          {in: `{"Name":"web","Kind":"typical","Connect":{"Native":false},"Proxy":{},"Token":"t","Namespace":"default","Partition":"","Ports":[]}`, want: registry.ServiceDefinition{Name: "web"}},
		"a namespace is ignored":     {in: `{"Name":"web","Namespace":"team-a"}`, want: registry.ServiceDefinition{Name: "web"}, warnings: []string{`"Namespace" is ignored: Herald has one namespace`}},
		"a locality is ignored":      {in: `{"Name":"web","Locality":{"Region":"eu"}}`, want: registry.ServiceDefinition{Name: "web"}, warnings: []string{`"Locality" is ignored: Herald does not route by locality`}},
		"a name of 64 bytes":         {in: `{"Name":"` + strings.Repeat("a", 64) + `"}`, want: registry.ServiceDefinition{Name: strings.Repeat("a", 64)}, warnings: []string{`service name "` + strings.Repeat("a", 64) + `" cannot be looked up by DNS: it has 64 bytes, and a DNS label has at most 63`}},
		"a name with an underscore":  {in: `{"Name":"ae_x"}`, want: registry.ServiceDefinition{Name: "ae_x"}, warnings: []string{`service name "ae_x" cannot be looked up by DNS: it contains '_', and a DNS label holds only letters, digits and hyphens`}},
		"a name with a dot":          {in: `{"Name":"ae.dot"}`, want: registry.ServiceDefinition{Name: "ae.dot"}, warnings: []string{`service name "ae.dot" cannot be looked up by DNS: it contains '.', and a DNS label holds only letters, digits and hyphens`}},
		"a name ends with a hyphen":  {in: `{"Name":"web-"}`, want: registry.ServiceDefinition{Name: "web-"}, warnings: []string{`service name "web-" cannot be looked up by DNS: it begins or ends with a hyphen`}},
		"tags that DNS cannot carry": {in: `{"Name":"web","ID":"w1","Tags":["ok","a b","x=y"]}`, want: registry.ServiceDefinition{Name: "web", ID: "w1", Tags: []string{"ok", "a b", "x=y"}}, warnings: []string{`service "w1" cannot be looked up by DNS by these tags: "a b", "x=y"`}},
		"check ids are counted": {
			in: `{"Name":"ac","ID":"ac-a","Checks":[{"TTL":"1m"},{"TTL":"1m","Name":"second"},{"CheckID":"ac-third","TTL":"1m"}]}`,
			want: registry.ServiceDefinition{Name: "ac", ID: "ac-a", Checks: []registry.CheckDefinition{
				{Kind: "ttl", TTL: time.Minute}, {Kind: "ttl", TTL: time.Minute, Name: "second"}, {Kind: "ttl", TTL: time.Minute, ID: "ac-third"}}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings, err := ParseService([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
			if !reflect.DeepEqual(warnings, test.warnings) {
				t.Errorf("warnings %q, want %q", warnings, test.warnings)
			}
		})
	}
}

// The first of these are what clients of the register endpoint are known to see.
func TestServiceRefused(t *testing.T) {
	meta := func(n int) string {
		var pairs []string
		for i := range n {
			pairs = append(pairs, fmt.Sprintf(`"k%d":"v"`, i))
		}
		return strings.Join(pairs, ",")
	}
	for _, test := range []struct {
		in, want string
		kind     error
	}{
		{`{"Name":"ae","Bogus":1}`, `json: unknown field "Bogus"`, ErrDecode},
		{`{"Name":""}`, `Missing service name`, nil},
		{`{"Name":"ae","Check":{"Interval":"10s"}}`, `Invalid check: TTL must be > 0 for TTL checks`, nil},
		{`{"Name":"ae","Check":{"HTTP":"http://x/","Status":"passing"}}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`, nil},
		{`{"Name":"ae","Check":{"TTL":"10s","Interval":"10s"}}`, `Invalid check: Interval and TTL cannot both be specified`, nil},
		{`{"Name":"ae","Check":{"TTL":"10s","Status":"bogus"}}`, `Status for checks must 'passing', 'warning', 'critical'`, nil},
		{`{"Name":"ae","Checks":[{"TTL":"10s"},{"TCP":"x:1"}]}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`, nil},
		{`{"Name":"ae","Weights":{"Passing":-1,"Warning":1}}`, `Invalid Weights: Passing must be greater than 0`, nil},
		{`{"Name":"ae","Address":"0.0.0.0"}`, `Invalid service address`, nil},

		{`{"Name":"ae","Address":"::"}`, `Invalid service address`, nil},
		{`{"Name":"ae","Weights":{"Passing":1,"Warning":-1}}`, `Invalid Weights: Warning must be 0 or greater`, nil},
		{`{"Name":"ae","Weights":{"Passing":65536}}`, `Invalid Weights: Passing must be at most 65535`, nil},
		{`{"Name":"ae","Weights":{"Passing":1,"Warning":65536}}`, `Invalid Weights: Warning must be at most 65535`, nil},
		{`{"Name":"ae","Weights":{"Critical":1}}`, `json: unknown field "Critical"`, ErrDecode},
		{`{"Name":"ae","Port":65536}`, `Invalid service port 65536: a port is within 0 to 65535`, nil},
		{`{"Name":"ae","Port":-1}`, `Invalid service port -1: a port is within 0 to 65535`, nil},
		{`{"Name":"ae","Port":99999999999}`, `line 1, column 21: "Port" must be a whole number of at most 32 bits, not 99999999999`, ErrDecode},
		{`{"Name":"ae","Port":1.5}`, `line 1, column 21: "Port" must be a whole number of at most 32 bits, not 1.5`, ErrDecode},
		{`{"Name":"ae","port":"80"}`, `line 1, column 21: "port" must be a number, not a string`, ErrDecode},
		{`{"Name":"ae","TaggedAddresses":{"lan":{"Port":70000}}}`, `Invalid service port 70000 of tagged address "lan": a port is within 0 to 65535`, nil},
		{`{"Name":"ae","TaggedAddresses":{"lan":{"Bogus":1}}}`, `json: unknown field "Bogus"`, ErrDecode},
		{`{"Name":"ae","name":"af"}`, `line 1, column 14: "name" is given twice`, ErrDecode},
		{`{"Name":"ae","EnableTagOverride":true,"enable_tag_override":true}`, `line 1, column 39: "enable_tag_override" is given twice`, ErrDecode},
		{`{"Name":"ae","Meta":{"a":"1","a":"2"}}`, `line 1, column 30: "a" is given twice`, ErrDecode},
		{`{"Name":"ae","Meta":{"a":1}}`, `line 1, column 26: "a" must be a string, not a number`, ErrDecode},
		{`{"Name":"ae","Meta":{` + meta(65) + `}}`, `Invalid Service Meta: it has 65 pairs, above 64`, nil},
		{`{"Name":"ae","Meta":{"a b":"1"}}`, `Invalid Service Meta: key "a b" has characters other than letters, digits, hyphens and underscores`, nil},
		{`{"Name":"ae","Meta":{"":"1"}}`, `Invalid Service Meta: a key is empty`, nil},
		{`{"Name":"ae","Meta":{"` + strings.Repeat("k", 129) + `":"1"}}`, `Invalid Service Meta: key "kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"… has 129 bytes, above 128`, nil},
		{`{"Name":"ae","Meta":{"k":"` + strings.Repeat("v", 513) + `"}}`, `Invalid Service Meta: the value of "k" has 513 bytes, above 512`, nil},
		{`{"Name":"ae","Tags":"v1"}`, `line 1, column 21: "Tags" must be a list of strings, not a string`, ErrDecode},
		{`{"Name":"ae","Tags":["v1",2]}`, `line 1, column 27: "Tags" must be a list of strings, and has a number in it`, ErrDecode},
		{`{"Name":"ae","EnableTagOverride":"yes"}`, `line 1, column 34: "EnableTagOverride" must be true or false, not a string`, ErrDecode},
		{`{"Name":"ae","Checks":{}}`, `line 1, column 23: "checks" must be a list, not an object`, ErrDecode},
		{`{"Name":"ae","Check":[]}`, `line 1, column 22: a check must be an object, not a list`, ErrDecode},
		{`{"Name":"ae","Kind":"connect-proxy"}`, `service kind "connect-proxy" is not supported: Herald runs no service mesh`, nil},
		{`{"Name":"ae","Connect":{"SidecarService":{"Port":1}}}`, `"Connect" is not supported: Herald runs no service mesh`, nil},
		{`{"Name":"ae","Proxy":{"DestinationServiceName":"x"}}`, `"Proxy" is not supported: Herald runs no service mesh`, nil},
		{`{"Name":"ae","Ports":[{"Name":"http","Port":80}]}`, `"Ports" is not supported: an instance has one port; register one service for each`, nil},
		{`{"Name":"ae","Checks":[{"CheckID":"c","TTL":"1s"},{"ID":"c","TTL":"1s"}]}`, `Invalid check: two checks have the id "c"`, nil},
		{`{"Name":"ae","Checks":[{"TTL":"1s"},{"ID":"service:ae:1","TTL":"1s"}]}`, `Invalid check: two checks have the id "service:ae:1"`, nil},

		{``, `line 1, column 1: unexpected end of JSON input`, ErrDecode},
		{`{`, `line 1, column 2: unexpected end of JSON input`, ErrDecode},
		{"{\n \"Name\": web\n}", `line 2, column 10: invalid character 'w' looking for beginning of value`, ErrDecode},
		{`{"Name":"ae"} x`, `line 1, column 15: invalid character 'x' after top-level value`, ErrDecode},
		{`{"Name":"ae",}`, `line 1, column 14: invalid character '}' looking for beginning of object key string`, ErrDecode},
		{`[]`, `line 1, column 1: a service must be an object, not a list`, ErrDecode},
		{`null`, `line 1, column 1: a service must be an object, not null`, ErrDecode},
		{strings.Repeat("[", 100) + strings.Repeat("]", 100), `line 1, column 66: values nest deeper than 64`, ErrDecode},
	} {
		_, _, err := ParseService([]byte(test.in))
		if err == nil {
			t.Errorf("%s: accepted, want %q", test.in, test.want)
			continue
		}
		if err.Error() != test.want {
			t.Errorf("%s:\n got %q\nwant %q", test.in, err, test.want)
		}
		var e *Error
		if !errors.Is(err, registry.ErrInvalidDefinition) || !errors.As(err, &e) || e.Line < 1 || e.Column < 1 {
			t.Errorf("%s: %#v is no Error with a place", test.in, err)
		}
		if errors.Is(err, ErrDecode) != (test.kind == ErrDecode) {
			t.Errorf("%s: errors.Is(err, ErrDecode) = %v", test.in, errors.Is(err, ErrDecode))
		}
	}
}

func TestNameWarnings(t *testing.T) {
	for name, tt := range map[string]struct {
		in   registry.ServiceDefinition
		want []string
	}{
		"nothing to say": {registry.ServiceDefinition{Name: "web", Tags: []string{"v1"}}, nil},
		"both, without an id": {registry.ServiceDefinition{Name: "my_web", Tags: []string{"a.b", "ok"}}, []string{
			`service name "my_web" cannot be looked up by DNS: it contains '_', and a DNS label holds only letters, digits and hyphens`,
			`service "my_web" cannot be looked up by DNS by these tags: "a.b"`,
		}},
		"tags of one with an id": {registry.ServiceDefinition{Name: "web", ID: "w.1", Tags: []string{"x y"}}, []string{
			`service "w.1" cannot be looked up by DNS by these tags: "x y"`,
		}},
	} {
		if got := NameWarnings(tt.in); !slices.Equal(got, tt.want) {
			t.Errorf("%s: got %q, want %q", name, got, tt.want)
		}
	}
}
