package httpserver

import (
	"strings"
	"testing"

	"herald/httpserver/api"
)

func TestCoordinates(t *testing.T) {
	h := open(t)
	const of = `{"Node":"N1","Segment":"","Coord":{"Vec":[0.5,1],"Error":1.5,"Adjustment":0,"Height":0.1}}`
	h.steps([]step{
		{"GET", "/v1/coordinate/datacenters", "", 200, `[{"Datacenter":"dc1","AreaID":"wan","Coordinates":[]}]`},
		{"GET", "/v1/coordinate/nodes", "", 200, "[]"},
		{"GET", "/v1/coordinate/node/n1", "", 404, ""},
		{"GET", "/v1/coordinate/node/", "", 400, "Missing node name"},
		{"GET", "/v1/coordinate/nodes?dc=nowhere", "", 500, "No path to datacenter"},
		{"PUT", "/v1/coordinate/update", of, 500, "Unknown node \"N1\"…"},
		{"PUT", "/v1/coordinate/update", `{"Coord":{"Vec":[1]}}`, 400, "Missing Node…"},
		{"PUT", "/v1/coordinate/update", `{"Node":"n1"}`, 400, "Missing Coord…"},
		{"PUT", "/v1/coordinate/update", `{"Node":"n1","Coord":{"Vec":[]}}`, 400, "Coord.Vec has 0…"},
		{"PUT", "/v1/coordinate/update", `{"Node":"n1","Coord":{"Vec":[1e999]}}`, 400, "Request decode failed…"},
	})
	h.register(`{"Node":"n1","Address":"10.0.0.1"}`)
	if a := h.ok("PUT", "/v1/coordinate/update", of); a.body != "" {
		t.Errorf("an update answers %q", a.body)
	}
	var list []api.CoordinateEntry
	first := h.get("/v1/coordinate/node/N1", &list)
	if len(list) != 1 || list[0].Node != "n1" || list[0].Coord.Vec[1] != 1 || list[0].Coord.Error != 1.5 {
		t.Errorf("got %+v", list)
	}
	h.ok("PUT", "/v1/coordinate/update", of)
	if again := h.get("/v1/coordinate/nodes", &list); again != first || len(list) != 1 {
		t.Errorf("the same again: %+v, and the index went from %d to %d", list, first, again)
	}
	if h.get("/v1/coordinate/nodes?segment=other", &list); len(list) != 0 {
		t.Errorf("of another segment: %+v", list)
	}
	h.ok("PUT", "/v1/catalog/deregister", `{"Node":"n1"}`)
	if a := h.do("GET", "/v1/coordinate/node/n1", ""); a.status != 404 {
		t.Errorf("of a node that is gone: %d %s", a.status, a.body)
	}
	if a := h.do("PUT", "/v1/coordinate/update", strings.Replace(of, "[0.5,1]", "["+strings.Repeat("0,", 64)+"0]", 1)); a.status != 400 {
		t.Errorf("with very many dimensions: %d %s", a.status, a.body)
	}
}
