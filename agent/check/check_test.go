package check

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"herald/registry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// define makes a definition of a kind with a spec.
func define(kind string, spec map[string]any) registry.CheckDefinition {
	d := registry.CheckDefinition{ID: "c", Name: "c", Kind: kind, Interval: time.Second, Timeout: time.Second, Spec: spec}
	if kind == TTL {
		d.Interval, d.Timeout, d.TTL = 0, 0, time.Second
	}
	return d
}

func newChecker(t *testing.T, d registry.CheckDefinition) registry.Checker {
	t.Helper()
	for _, k := range kinds {
		if k.Name == d.Kind {
			c, err := k.New(d)
			if err != nil {
				t.Fatalf("New(%+v): %v", d, err)
			}
			return c
		}
	}
	t.Fatalf("kind %q is not there", d.Kind)
	return nil
}

// run runs a check once, within limit.
func run(t *testing.T, d registry.CheckDefinition, limit time.Duration) (registry.HealthStatus, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	return newChecker(t, d).Check(ctx)
}

func TestKinds(t *testing.T) {
	var names []string
	for _, k := range kinds {
		names = append(names, k.Name)
		if k.Summary == "" {
			t.Errorf("kind %s has no summary", k.Name)
		}
	}
	if got, want := strings.Join(names, " "), "alias docker exec grpc h2ping http osservice tcp ttl udp"; got != want {
		t.Errorf("kinds are %q, want %q", got, want)
	}
}

// TestSpecIsStrict checks that every wrong definition is refused with a message
// that names what is wrong.
func TestSpecIsStrict(t *testing.T) {
	type m = map[string]any
	tests := []struct {
		name string
		new  registry.NewChecker
		def  registry.CheckDefinition
		want string // part of the error; "" accepts
	}{
		{"http", NewHTTP, define(HTTP, m{"url": "http://127.0.0.1:1/x"}), ""},
		{"http, everything", NewHTTP, define(HTTP, m{"url": "https://h/", "method": "post", "body": "b", "tls_skip_verify": true,
			"tls_server_name": "n", "disable_redirects": true, "header": m{"X-A": []any{"1", "2"}, "X-B": "3"}}), ""},
		{"http, header as Go writes it", NewHTTP, define(HTTP, m{"url": "http://h", "header": map[string][]string{"X-A": {"1"}}}), ""},
		{"http, header of single strings", NewHTTP, define(HTTP, m{"url": "http://h", "header": map[string]string{"X-A": "1"}}), ""},
		{"http, nothing", NewHTTP, define(HTTP, nil), "url is missing"},
		{"http, other scheme", NewHTTP, define(HTTP, m{"url": "ftp://h"}), `"ftp://h"`},
		{"http, no host", NewHTTP, define(HTTP, m{"url": "http:///x"}), "http://host"},
		{"http, broken url", NewHTTP, define(HTTP, m{"url": "http://h/%zz"}), "does not parse"},
		{"http, url of another type", NewHTTP, define(HTTP, m{"url": 7}), "url must be a string, not int"},
		{"http, bad method", NewHTTP, define(HTTP, m{"url": "http://h", "method": "GE T"}), `"GE T" is not a method`},
		{"http, unknown name", NewHTTP, define(HTTP, m{"url": "http://h", "uri": "x"}), `unknown field "uri"; it takes body, disable_redirects, header`},
		{"http, bool as string", NewHTTP, define(HTTP, m{"url": "http://h", "tls_skip_verify": "yes"}), "tls_skip_verify must be true or false, not string"},
		{"http, header of numbers", NewHTTP, define(HTTP, m{"url": "http://h", "header": m{"X": 1}}), `"X" a string or a list of strings`},
		{"http, header in a list", NewHTTP, define(HTTP, m{"url": "http://h", "header": []any{"X"}}), "header must map names"},
		{"http, bad header name", NewHTTP, define(HTTP, m{"url": "http://h", "header": m{"X Y": "1"}}), `"X Y" is not a header name`},
		{"http, header that splits", NewHTTP, define(HTTP, m{"url": "http://h", "header": m{"X": "1\r\nY: 2"}}), "a header cannot carry"},
		{"http, of another kind", NewHTTP, define(TCP, m{"url": "http://h"}), `must be "http", not "tcp"`},
		{"tcp", NewTCP, define(TCP, m{"address": "127.0.0.1:80"}), ""},
		{"tcp, IPv6", NewTCP, define(TCP, m{"address": "[::1]:80"}), ""},
		{"tcp, nothing", NewTCP, define(TCP, nil), "host:port"},
		{"tcp, no port", NewTCP, define(TCP, m{"address": "localhost"}), `"localhost"`},
		{"tcp, empty port", NewTCP, define(TCP, m{"address": "localhost:"}), `"localhost:"`},
		{"tcp, unknown name", NewTCP, define(TCP, m{"address": "h:1", "tcp": "h:1"}), `unknown field "tcp"; it takes address`},
		{"exec, args", NewExec, define(Exec, m{"args": []any{"true", "x"}}), ""},
		{"exec, args as Go writes them", NewExec, define(Exec, m{"args": []string{"true"}}), ""},
		{"exec, shell", NewExec, define(Exec, m{"shell": "exit 1"}), ""},
		{"exec, nothing", NewExec, define(Exec, nil), "args is missing"},
		{"exec, empty program", NewExec, define(Exec, m{"args": []any{""}}), "args is missing"},
		{"exec, both", NewExec, define(Exec, m{"args": []any{"true"}, "shell": "true"}), "shell cannot be given beside args"},
		{"exec, args of numbers", NewExec, define(Exec, m{"args": []any{"sleep", 1}}), "args must be a list of strings"},
		{"exec, args as a line", NewExec, define(Exec, m{"args": "sleep 1"}), "args must be a list of strings"},
		{"ttl", NewTTL, define(TTL, nil), ""},
		{"ttl, none", NewTTL, registry.CheckDefinition{Kind: TTL}, "ttl must be above 0, not 0s"},
		{"ttl, unknown name", NewTTL, define(TTL, m{"x": 1}), `unknown field "x"; it takes nothing`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := tt.new(tt.def)
			switch {
			case tt.want == "" && (err != nil || c == nil):
				t.Fatalf("refused: %v", err)
			case tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)):
				t.Fatalf("error is %v, want one with %q", err, tt.want)
			case tt.want != "" && !errors.Is(err, registry.ErrInvalidDefinition):
				t.Fatalf("%v is no ErrInvalidDefinition", err)
			}
		})
	}
}

func TestNegativeOutputLimit(t *testing.T) {
	for kind, spec := range map[string]map[string]any{HTTP: {"url": "http://h"}, Exec: {"shell": "true"}} {
		d := define(kind, spec)
		d.OutputMaxSize = -1
		if _, err := map[string]registry.NewChecker{HTTP: NewHTTP, Exec: NewExec}[kind](d); !errors.Is(err, registry.ErrInvalidDefinition) {
			t.Errorf("%s with a limit of -1: %v, want ErrInvalidDefinition", kind, err)
		}
	}
}

func TestTTLCannotBeRun(t *testing.T) {
	if status, _ := run(t, define(TTL, nil), time.Second); status != registry.Critical {
		t.Errorf("a ttl check that is run is %s, want critical", status)
	}
}
