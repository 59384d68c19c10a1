package definition

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"herald/registry"
)

func TestParseCheck(t *testing.T) {
	for name, test := range map[string]struct {
		in       string
		want     registry.CheckDefinition
		warnings []string
	}{
		"ttl, named by its name": {
			in:   `{"Name":"ac node check","TTL":"600s","Status":"passing","Notes":"by name"}`,
			want: registry.CheckDefinition{ID: "ac node check", Name: "ac node check", Kind: "ttl", TTL: 600 * time.Second, Status: "passing", Notes: "by name"},
		},
		"tcp of a service": {
			in:   `{"ID":"ac-tcp","Name":"ac-tcp","TCP":"127.0.0.1:9","Interval":"600s","ServiceID":"ac-b","Status":"warning"}`,
			want: registry.CheckDefinition{ID: "ac-tcp", Name: "ac-tcp", Kind: "tcp", Interval: 600 * time.Second, ServiceID: "ac-b", Status: "warning", Spec: map[string]any{"address": "127.0.0.1:9"}},
		},
		"http with all of its options": {
			in: `{"Name":"h","HTTP":"https://127.0.0.1:9/","Interval":10000000000,"Timeout":"2s","Method":"POST","Header":{"X-A":["b","c"],"Host":"h"},
				"Body":"{}","TLSSkipVerify":true,"TLSServerName":"s","DisableRedirects":true,
				"SuccessBeforePassing":1,"FailuresBeforeWarning":2,"FailuresBeforeCritical":3,"OutputMaxSize":100,"DeregisterCriticalServiceAfter":"90m"}`,
			want: registry.CheckDefinition{ID: "h", Name: "h", Kind: "http", Interval: 10 * time.Second, Timeout: 2 * time.Second,
				SuccessBeforePassing: 1, FailuresBeforeWarning: 2, FailuresBeforeCritical: 3, OutputMaxSize: 100, DeregisterAfter: 90 * time.Minute,
				Spec: map[string]any{"url": "https://127.0.0.1:9/", "method": "POST", "header": map[string][]string{"X-A": {"b", "c"}, "Host": {"h"}},
					"body": "{}", "tls_skip_verify": true, "tls_server_name": "s", "disable_redirects": true}},
		},
		"args":        {in: `{"Name":"x","Args":["true","-x"],"Interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "exec", Interval: time.Second, Spec: map[string]any{"args": []string{"true", "-x"}}}},
		"script_args": {in: `{"name":"x","script_args":["true"],"interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "exec", Interval: time.Second, Spec: map[string]any{"args": []string{"true"}}}},
		"script":      {in: `{"name":"x","script":"a | b","interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "exec", Interval: time.Second, Spec: map[string]any{"shell": "a | b"}}},
		"tcp": {in: `{"name":"x","tcp":"h:1","tcp_use_tls":true,"tls_server_name":"s","interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "tcp", Interval: time.Second,
			Spec: map[string]any{"address": "h:1", "use_tls": true, "tls_server_name": "s"}}},
		"udp": {in: `{"Name":"x","UDP":"h:1","Interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "udp", Interval: time.Second, Spec: map[string]any{"address": "h:1"}}},
		"grpc": {in: `{"Name":"x","GRPC":"h:1/svc","GRPCUseTLS":true,"TLSSkipVerify":true,"H2PingUseTLS":true,"Interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "grpc", Interval: time.Second,
			Spec: map[string]any{"target": "h:1/svc", "use_tls": true, "tls_skip_verify": true}}},
		"h2ping": {in: `{"Name":"x","H2PING":"h:1","H2PingUseTLS":false,"Interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "h2ping", Interval: time.Second,
			Spec: map[string]any{"address": "h:1", "use_tls": false}}},
		"alias of a service": {in: `{"Name":"x","AliasService":"web"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "alias", Spec: map[string]any{"service": "web"}}},
		"alias of a node":    {in: `{"name":"x","alias_node":"n"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "alias", Spec: map[string]any{"node": "n"}}},
		"kind alias":         {in: `{"Name":"x","Kind":"alias","Spec":{"service":"web","node":"n"}}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "alias", Spec: map[string]any{"service": "web", "node": "n"}}},
		"alias with an interval": {in: `{"Name":"x","AliasService":"web","Interval":"10s","Timeout":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "alias", Spec: map[string]any{"service": "web"}},
			warnings: []string{"Interval and Timeout are ignored: an alias check is not run but follows others"}},
		"TLS of a check without": {in: `{"Name":"x","UDP":"h:1","TLSServerName":"s","Method":"GET","Interval":"1s"}`, want: registry.CheckDefinition{ID: "x", Name: "x", Kind: "udp", Interval: time.Second, Spec: map[string]any{"address": "h:1"}},
			warnings: []string{`"Method" is ignored: it is for HTTP checks`, `"TLSServerName" is ignored: it is for checks that speak TLS`}},
		"a plugin's kind": {
			in:   `{"Name":"p","Kind":"banner","Spec":{"address":"x:1","deep":{"n":[1,true,null,"s"]}},"Interval":"1s"}`,
			want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "banner", Interval: time.Second, Spec: map[string]any{"address": "x:1", "deep": map[string]any{"n": []any{1.0, true, nil, "s"}}}},
		},
		"kind and spec of our own":        {in: `{"Name":"p","kind":"tcp","spec":{"address":"x:1"},"Interval":"1s"}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "tcp", Interval: time.Second, Spec: map[string]any{"address": "x:1"}}},
		"kind ttl":                        {in: `{"Name":"p","Kind":"ttl","TTL":"5s"}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "ttl", TTL: 5 * time.Second}},
		"empty durations are none":        {in: `{"Name":"p","TTL":"5s","Interval":"","Timeout":""}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "ttl", TTL: 5 * time.Second}},
		"docker":                          {in: `{"Name":"d","DockerContainerID":"c1","Args":["/bin/ok","-v"],"Interval":"5s"}`, want: registry.CheckDefinition{ID: "d", Name: "d", Kind: "docker", Interval: 5 * time.Second, Spec: map[string]any{"container": "c1", "args": []string{"/bin/ok", "-v"}}}},
		"docker with a shell":             {in: `{"Name":"d","docker_container_id":"c1","shell":"/bin/bash","args":["ok -v"],"Interval":"5s"}`, want: registry.CheckDefinition{ID: "d", Name: "d", Kind: "docker", Interval: 5 * time.Second, Spec: map[string]any{"container": "c1", "shell": "ok -v", "shell_path": "/bin/bash"}}},
		"docker with a script":            {in: `{"Name":"d","DockerContainerID":"c1","Script":"ok | cat","Interval":"5s"}`, want: registry.CheckDefinition{ID: "d", Name: "d", Kind: "docker", Interval: 5 * time.Second, Spec: map[string]any{"container": "c1", "shell": "ok | cat"}}},
		"a service of the system":         {in: `{"Name":"s","OSService":"nginx","Interval":"5s"}`, want: registry.CheckDefinition{ID: "s", Name: "s", Kind: "osservice", Interval: 5 * time.Second, Spec: map[string]any{"service": "nginx"}}},
		"blank kinds are none":            {in: `{"Name":"p","TTL":"5s","HTTP":"","GRPC":"","UDP":"","H2PING":"","AliasService":"","DockerContainerID":"","Shell":"","OSService":"","TCPUseTLS":false,"GRPCUseTLS":true}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "ttl", TTL: 5 * time.Second}},
		"deregistration is not too quick": {in: `{"Name":"p","TTL":"5s","DeregisterCriticalServiceAfter":"10s"}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "ttl", TTL: 5 * time.Second, DeregisterAfter: time.Minute}, warnings: []string{"DeregisterCriticalServiceAfter is 10s and counts as 1m0s, the shortest there is"}},
		"a ttl check has no timeout":      {in: `{"Name":"p","TTL":"5s","Timeout":"1s"}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "ttl", TTL: 5 * time.Second}, warnings: []string{"Timeout is ignored: a TTL check is not run"}},
		"options of another kind":         {in: `{"Name":"p","TTL":"5s","Method":"GET"}`, want: registry.CheckDefinition{ID: "p", Name: "p", Kind: "ttl", TTL: 5 * time.Second}, warnings: []string{`"Method" is ignored: it is for HTTP checks`}},
	} {
		t.Run(name, func(t *testing.T) {
			got, warnings, err := ParseCheck([]byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %#v\nwant %#v", got, test.want)
			}
			if !reflect.DeepEqual(warnings, test.warnings) {
				t.Errorf("warnings %q, want %q", warnings, test.warnings)
			}
		})
	}
}

func TestCheckRefused(t *testing.T) {
	for _, test := range []struct{ in, want string }{
		{`{"TTL":"10s"}`, `Missing check name`},
		{`{"Name":"ae-c"}`, `Invalid check: TTL must be > 0 for TTL checks`},
		{`{"Name":"ae-c","TTL":"10s","Bogus":true}`, `json: unknown field "Bogus"`},
		{`{"Name":"ae-c","TTL":"10s","Status":"bogus"}`, `Bad check status`},

		{`{"Name":"c","TTL":"-1s"}`, `Invalid check: TTL must be > 0 for TTL checks`},
		{`{"Name":"c","HTTP":"http://x","Interval":"-1s"}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{`{"Name":"c","HTTP":"http://x","TTL":"1s"}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{`{"Name":"c","Kind":"banner"}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{`{"Name":"c","Kind":"ttl","TTL":"1s","Interval":"1s"}`, `Invalid check: Interval and TTL cannot both be specified`},
		{`{"Name":"c","HTTP":"http://x","TCP":"x:1","Interval":"1s"}`, `Invalid check: it is of kinds http and tcp: a check has exactly one`},
		{`{"Name":"c","Args":["a"],"Script":"a","Interval":"1s"}`, `Invalid check: it is of kinds exec and exec: a check has exactly one`},
		{`{"Name":"c","Kind":"banner","TCP":"x:1","Interval":"1s"}`, `Invalid check: it is of kinds tcp and banner: a check has exactly one`},
		{`{"Name":"c","Args":["a"],"ScriptArgs":["a"],"Interval":"1s"}`, `Invalid check: it has both Args and ScriptArgs: give one`},
		{`{"Name":"c","ID":"a","CheckID":"b","TTL":"1s"}`, `Invalid check: ID is "a" and CheckID is "b": give one`},
		{`{"Name":"c","TTL":"1s","Spec":{}}`, `Invalid check: Spec is given without Kind`},
		{`{"Name":"c","Kind":"http","Spec":{"url":"http://x"},"Method":"PUT","Interval":"1s"}`, `Invalid check: "Method" is not for a check with Kind: it goes into Spec`},
		{`{"Name":"c","Kind":"x","Spec":[],"Interval":"1s"}`, `line 1, column 31: "Spec" must be an object, not a list`},
		{`{"Name":"c","Kind":"x","Spec":{"n":1e999},"Interval":"1s"}`, `line 1, column 31: "Spec": 1e999 is out of range`},
		{`{"Name":"c","TTL":"10"}`, `line 1, column 19: "TTL" must be a duration such as "10s", not "10"`},
		{`{"Name":"c","TTL":true}`, `line 1, column 19: "TTL" must be a duration such as "10s", not true or false`},
		{`{"Name":"c","TTL":1.5}`, `line 1, column 19: "TTL" must be a duration such as "10s", not "1.5"`},
		{`{"Name":"c","HTTP":"http://x","Interval":"1s","Timeout":"-1s"}`, `Invalid check: Timeout must not be below 0`},
		{`{"Name":"c","TTL":"1s","DeregisterCriticalServiceAfter":"-1s"}`, `Invalid check: DeregisterCriticalServiceAfter must not be below 0`},
		{`{"Name":"c","TTL":"1s","SuccessBeforePassing":-1}`, `Invalid check: SuccessBeforePassing, FailuresBeforeWarning and FailuresBeforeCritical must not be below 0`},
		{`{"Name":"c","TTL":"1s","FailuresBeforeWarning":4,"FailuresBeforeCritical":3}`, `Invalid check: FailuresBeforeWarning must not be above FailuresBeforeCritical`},
		{`{"Name":"c","TTL":"1s","OutputMaxSize":-1}`, `Invalid check: OutputMaxSize must not be below 0`},
		{`{"Name":"c","HTTP":"http://x","Interval":"1s","Header":{"A":[1]}}`, `line 1, column 62: "A" must be a list of strings, and has a number in it`},
		{`{"Name":"c","HTTP":"http://x","Interval":"1s","Header":[]}`, `line 1, column 56: "Header" must be an object, not a list`},

		{`{"Name":"c","GRPC":"x:1"}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{`{"Name":"c","GRPC":"x:1","UDP":"x:1","Interval":"1s"}`, `Invalid check: it is of kinds udp and grpc: a check has exactly one`},
		{`{"Name":"c","Kind":"grpc","Spec":{"target":"x:1"},"TLSSkipVerify":true,"Interval":"1s"}`, `Invalid check: "TLSSkipVerify" is not for a check with Kind: it goes into Spec`},
		{`{"Name":"c","AliasNode":"n","TTL":"1s"}`, `Invalid check: it is of kinds alias and ttl: a check has exactly one`},
		{`{"Name":"c","alias_service":"s","TCP":"x:1","Interval":"1s"}`, `Invalid check: it is of kinds tcp and alias: a check has exactly one`},
		{`{"Name":"c","DockerContainerID":"x","Interval":"1s"}`, `Invalid check: it has DockerContainerID and no Args, the command to run in the container`},
		{`{"Name":"c","DockerContainerID":"x","HTTP":"http://x/","Interval":"1s"}`, `Invalid check: it has DockerContainerID and no Args, the command to run in the container`},
		{`{"Name":"c","DockerContainerID":"x","Args":["a"]}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{`{"Name":"c","Shell":"/bin/sh","Args":["a"],"Interval":"1s"}`, `Invalid check: Shell is for Docker checks; a command line goes into Script`},
		{`{"Name":"c","OSService":"x"}`, `Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`},
		{`{"Name":"c","OSService":"x","TCP":"x:1","Interval":"1s"}`, `Invalid check: it is of kinds tcp and osservice: a check has exactly one`},
	} {
		_, _, err := ParseCheck([]byte(test.in))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.in, err, test.want)
		}
		if !errors.Is(err, registry.ErrInvalidDefinition) {
			t.Errorf("%s: %v is not ErrInvalidDefinition", test.in, err)
		}
	}
}
