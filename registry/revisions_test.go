package registry

import (
	"encoding/json"
	"testing"
)

func TestRevisionsAreNamedInJSON(t *testing.T) {
	b, err := json.Marshal(Revisions{SpaceKV: 5, SpaceCatalog: 7, SpaceSession: 1})
	if want := `{"catalog":7,"kv":5,"session":1,"system":0}`; err != nil || string(b) != want {
		t.Fatalf("%s, %v, want %s", b, err, want)
	}
	var r Revisions
	if err := json.Unmarshal([]byte(`{"kv":5,"later":9}`), &r); err != nil || r != (Revisions{SpaceKV: 5}) {
		t.Errorf("%v, %v", r, err)
	}
	if err := json.Unmarshal([]byte(`[1,2,3]`), &r); err == nil {
		t.Error("a list was accepted")
	}
}
