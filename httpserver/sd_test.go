package httpserver

import (
	"encoding/json"
	"net/http"
	"reflect"
	"testing"

	"herald/httpserver/api"
)

func TestPrometheusTargets(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"10.0.0.1","NodeMeta":{"rack-id":"r1"},"TaggedAddresses":{"wan":"1.2.3.4"},
		"Service":{"ID":"web-1","Service":"web","Port":80,"Address":"10.1.0.1","Tags":["v1","öko"],"Meta":{"a.b":"x"}},
		"Check":{"CheckID":"c","ServiceID":"web-1","Status":"passing"}}`)
	h.register(`{"Node":"n2","Address":"fd00::2","Service":{"ID":"web-2","Service":"web","Port":81},"Check":{"CheckID":"c","ServiceID":"web-2","Status":"warning"}}`)
	h.register(`{"Node":"n2","Address":"fd00::2","Service":{"ID":"db","Service":"db","Port":5432},"Check":{"CheckID":"_service_maintenance:db","ServiceID":"db","Status":"critical"}}`)

	web1 := api.TargetGroup{Targets: []string{"10.1.0.1:80"}, Labels: map[string]string{
		"__meta_consul_dc": "dc1", "__meta_consul_node": "n1", "__meta_consul_address": "10.0.0.1", "__meta_consul_health": "passing",
		"__meta_consul_service": "web", "__meta_consul_service_id": "web-1", "__meta_consul_service_address": "10.1.0.1", "__meta_consul_service_port": "80",
		"__meta_consul_tags": ",v1,öko,", "__meta_consul_metadata_rack_id": "r1", "__meta_consul_tagged_address_wan": "1.2.3.4", "__meta_consul_service_metadata_a_b": "x",
	}}
	web2 := api.TargetGroup{Targets: []string{"[fd00::2]:81"}, Labels: map[string]string{
		"__meta_consul_dc": "dc1", "__meta_consul_node": "n2", "__meta_consul_address": "fd00::2", "__meta_consul_health": "warning",
		"__meta_consul_service": "web", "__meta_consul_service_id": "web-2", "__meta_consul_service_address": "", "__meta_consul_service_port": "81",
		"__meta_consul_tags": ",,",
	}}
	db := api.TargetGroup{Targets: []string{"[fd00::2]:5432"}, Labels: map[string]string{
		"__meta_consul_dc": "dc1", "__meta_consul_node": "n2", "__meta_consul_address": "fd00::2", "__meta_consul_health": "maintenance",
		"__meta_consul_service": "db", "__meta_consul_service_id": "db", "__meta_consul_service_address": "", "__meta_consul_service_port": "5432",
		"__meta_consul_tags": ",,",
	}}
	for query, want := range map[string][]api.TargetGroup{
		"":                                      {web1},
		"?passing=false":                        {db, web1, web2},
		"?service=WEB&passing=0":                {web1, web2},
		"?service=web&service=db&passing=false": {db, web1, web2},
		"?service=web&service=Web":              {web1},
		"?service=none":                         {},
		"?tag=V1&tag=öko":                       {web1},
		"?tag=v1&tag=v2":                        {},
		"?node-meta=rack-id:r1&passing=false":   {web1},
		"?passing=false&filter=Service.Port%20%3E%2080": nil,
		"?passing=false&filter=Service.Port%20==%2081":  {web2},
	} {
		a := h.do("GET", "/v1/sd/prometheus"+query, "")
		if want == nil {
			if a.status != http.StatusInternalServerError {
				t.Errorf("%s: %d %s", query, a.status, a.body)
			}
			continue
		}
		var got []api.TargetGroup
		if err := json.Unmarshal([]byte(a.body), &got); err != nil {
			t.Fatalf("%s: %v: %s", query, err, a.body)
		}
		if !reflect.DeepEqual(got, want) || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("%s (%s)\n got %v\nwant %v", query, a.header.Get("Content-Type"), got, want)
		}
	}
	h.steps([]step{{"GET", "/v1/sd/prometheus?passing=soon", "", 400, "Invalid value for ?passing"}})

	// A check that changes wakes who waits for a change.
	at := h.ok("GET", "/v1/sd/prometheus", "").index()
	got := h.begin("/v1/sd/prometheus?wait=10s&index=" + headerUint(at)[0])
	h.register(`{"Node":"n2","Address":"fd00::2","Check":{"CheckID":"c","ServiceID":"web-2","Status":"passing"}}`)
	var groups []api.TargetGroup
	if err := json.Unmarshal([]byte(receive(t, got).body), &groups); err != nil || len(groups) != 2 {
		t.Errorf("after the check passed there are %v, %v", groups, err)
	}
}
