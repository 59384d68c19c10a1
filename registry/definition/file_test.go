package definition

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"herald/registry"
)

func TestParseFile(t *testing.T) {
	web := registry.ServiceDefinition{Name: "web", Checks: []registry.CheckDefinition{{Kind: "ttl", TTL: time.Second}}}
	db := registry.ServiceDefinition{Name: "db"}
	disk := registry.CheckDefinition{ID: "disk", Name: "disk", Kind: "ttl", TTL: time.Second}
	for name, test := range map[string]struct {
		in   string
		want Definitions
	}{
		"a service by itself": {`{"name":"web","check":{"ttl":"1s"}}`, Definitions{Services: []registry.ServiceDefinition{web}}},
		"service":             {`{"service":{"name":"web","check":{"ttl":"1s"}}}`, Definitions{Services: []registry.ServiceDefinition{web}}},
		"services":            {`{"Services":[{"name":"web","checks":[{"ttl":"1s"}]},{"name":"db"}]}`, Definitions{Services: []registry.ServiceDefinition{web, db}}},
		"check":               {`{"check":{"name":"disk","ttl":"1s"}}`, Definitions{Checks: []registry.CheckDefinition{disk}}},
		"all at once": {`{"service":{"name":"db"},"services":[{"name":"web","check":{"ttl":"1s"}}],"checks":[{"name":"disk","ttl":"1s"}]}`,
			Definitions{Services: []registry.ServiceDefinition{db, web}, Checks: []registry.CheckDefinition{disk}}},
		"nothing": {`{"services":[]}`, Definitions{}},
		"names that DNS cannot carry": {`{"name":"my_web.x"}`, Definitions{
			Services: []registry.ServiceDefinition{{Name: "my_web.x"}},
			Warnings: []string{`service name "my_web.x" cannot be looked up by DNS: it contains '_', and a DNS label holds only letters, digits and hyphens`}}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ParseFile("web.json", []byte(test.in))
			if err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got, test.want) {
				t.Errorf("got  %+v\nwant %+v", got, test.want)
			}
		})
	}
}

func TestFileRefused(t *testing.T) {
	for _, test := range []struct {
		in, want string
		is       error
	}{
		{"{\n  \"name\": \"web\",\n  \"bogus\": 1\n}", `web.json:3:3: json: unknown field "bogus"`, ErrDecode},
		{"{\n  \"services\": [\n    {\"name\": \"a\"},\n    {\"name\": \"A\", \"id\": \"a\"}\n  ]\n}", `web.json:4:5: duplicate service id "a"`, registry.ErrDuplicateService},
		{`{"service":{"name":"a"},"services":[{"name":"a"}]}`, `web.json:1:37: duplicate service id "a"`, registry.ErrDuplicateService},
		{`{"check":{"name":"c","ttl":"1s"},"checks":[{"name":"c","ttl":"1s"}]}`, `web.json:1:44: Invalid check: two checks have the id "c"`, nil},
		{`{"name":"web","check":{"http":"http://x"}}`, `web.json:1:23: Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks`, nil},
		{`{"name":"web"`, `web.json:1:14: unexpected end of JSON input`, ErrDecode},
		{"{\"name\":\"web\",\n\t\"port\":\"80\"}", `web.json:2:9: "port" must be a number, not a string`, ErrDecode},
		{`[{"name":"web"}]`, `web.json:1:1: a file of definitions must be an object, not a list`, ErrDecode},
		{`{"service":[]}`, `web.json:1:12: a service must be an object, not a list`, ErrDecode},
		{`{"services":{}}`, `web.json:1:13: "services" must be a list, not an object`, ErrDecode},
		{`{"service":{"name":"a"},"datacenter":"dc1"}`, `web.json:1:25: json: unknown field "datacenter"`, ErrDecode},
		{`{"name":"a","service":{"name":"b"}}`, `web.json:1:13: json: unknown field "service"`, ErrDecode},
		{`{"port":80}`, `web.json:1:1: Missing service name`, nil},
	} {
		_, err := ParseFile("web.json", []byte(test.in))
		if err == nil || err.Error() != test.want {
			t.Errorf("%s:\n got %v\nwant %s", test.in, err, test.want)
		}
		if !errors.Is(err, registry.ErrInvalidDefinition) || test.is != nil && !errors.Is(err, test.is) {
			t.Errorf("%s: errors.Is does not see what %v is", test.in, err)
		}
	}
}
