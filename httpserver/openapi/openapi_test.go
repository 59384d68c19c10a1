package openapi

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"
)

type color string

type inner struct {
	Deep map[string][]int
	Self *inner `json:",omitempty"`
}

type embedded struct {
	Here bool `json:"here,omitempty"`
}

type sample struct {
	Name    string
	Number  uint8 `json:"n"`
	Float   float64
	Kind    color
	Bytes   []byte
	When    time.Time
	For     time.Duration
	Raw     json.RawMessage
	Any     any
	Pair    [2]bool
	In      inner
	Maybe   *inner `json:"maybe,omitzero"`
	Inline  struct{ X int }
	Hidden  func() `json:"-"`
	private int    // is left out
	embedded
}

type own struct{}

func (own) MarshalJSON() ([]byte, error) { return []byte("1"), nil }

type text struct{}

func (text) MarshalText() ([]byte, error) { return nil, nil }

// asJSON is for comparing.
func asJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestSchemas(t *testing.T) {
	s := NewSchemas(map[reflect.Type]Schema{reflect.TypeFor[own](): {"const": 1}})
	if got := asJSON(t, s.Of(reflect.TypeFor[[]sample]())); got != `{"items":{"$ref":"#/components/schemas/Sample"},"type":["array","null"]}` {
		t.Error(got)
	}
	want := map[string]string{
		"Name": `{"type":"string"}`, "n": `{"minimum":0,"type":"integer"}`, "Float": `{"type":"number"}`, "Kind": `{"type":"string"}`,
		"Bytes": `{"contentEncoding":"base64","type":["string","null"]}`, "When": `{"format":"date-time","type":"string"}`,
		"For": `{"description":"in nanoseconds","format":"int64","type":"integer"}`, "Raw": `{}`, "Any": `{}`,
		"Pair": `{"items":{"type":"boolean"},"maxItems":2,"minItems":2,"type":"array"}`, "In": `{"$ref":"#/components/schemas/Inner"}`,
		"maybe":  `{"anyOf":[{"$ref":"#/components/schemas/Inner"},{"type":"null"}]}`,
		"Inline": `{"properties":{"X":{"type":"integer"}},"required":["X"],"type":"object"}`, "here": `{"type":"boolean"}`,
	}
	made := s.made["Sample"]["properties"].(map[string]Schema)
	for name, schema := range want {
		if got := asJSON(t, made[name]); got != schema {
			t.Errorf("%s is %s, want %s", name, got, schema)
		}
	}
	if len(made) != len(want) {
		t.Errorf("%d properties, want %d", len(made), len(want))
	}
	if got := asJSON(t, s.made["Sample"]["required"]); got != `["Name","n","Float","Kind","Bytes","When","For","Raw","Any","Pair","In","Inline"]` {
		t.Errorf("required: %s", got)
	}
	if got := asJSON(t, s.Of(reflect.TypeFor[map[text]own]())); got != `{"additionalProperties":{"const":1},"type":["object","null"]}` {
		t.Error(got)
	}
	if got := asJSON(t, s.Of(reflect.TypeFor[text]())); got != `{"type":"string"}` {
		t.Error(got)
	}
	s.Requests().Of(reflect.TypeFor[inner]())
	if r, ok := s.made["InnerRequest"]; !ok || r["required"] != nil {
		t.Errorf("a request's: %v", r)
	}
}

func TestSchemasOfWhatJSONHasNot(t *testing.T) {
	for name, of := range map[string]reflect.Type{"a channel": reflect.TypeFor[chan int](), "a type that encodes itself": reflect.TypeFor[own]()} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s has a schema", name)
				}
			}()
			NewSchemas(nil).Of(of)
		}()
	}
}

func document(ops ...Operation) *Document {
	return &Document{
		Info: Info{Title: "T", Version: "1"}, Schemas: NewSchemas(nil), Headers: map[string]string{"X-Index": "where it stands"},
		Parameters: map[string]Parameter{"deep": {Description: "how", Schema: Schema{"type": "integer"}}, "flag": {Description: "whether", Schema: Schema{}, Flag: true}},
		Operations: ops,
	}
}

func TestRender(t *testing.T) {
	b, err := document(
		Operation{Method: "GET", Path: "/v1/a-b/{name}/c", Tag: "t", Summary: "Get it", Query: []string{"deep"}, Indexed: true,
			OK: &Content{Of: reflect.TypeFor[[]int](), Or: []reflect.Type{reflect.TypeFor[string]()}}, Other: map[int]*Content{404: {Description: "gone"}}},
		Operation{Method: "PUT", Path: "/v1/a-b/{name}/c", Tag: "t", Summary: "Put it", Body: &Content{Type: "text/plain", Optional: true}},
	).Render()
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"openapi":"3.1.0"`, `"operationId":"getV1ABNameC"`, `{"in":"path","name":"name","required":true,"schema":{"type":"string"}}`,
		`"parameters":[{"$ref":"#/components/parameters/deep"}]`, `"allowEmptyValue":true`,
		`"anyOf":[{"items":{"type":"integer"},"type":["array","null"]},{"type":"string"}]`, `"404":{"description":"gone"}`,
		`"headers":{"X-Index":{"$ref":"#/components/headers/X-Index"}}`, `"requestBody":{"content":{"text/plain":{}},"required":false}`,
		`"default":{"$ref":"#/components/responses/Error"}`,
	} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the document has no %s:\n%s", want, b)
		}
	}
	again, err := document().Render()
	if err != nil || !strings.Contains(string(again), `"paths":{}`) {
		t.Errorf("of nothing: %s, %v", again, err)
	}
}

func TestRenderRefuses(t *testing.T) {
	one := Operation{Method: "GET", Path: "/a"}
	for name, d := range map[string]*Document{
		"twice":            document(one, one),
		"parameter \"no\"": document(Operation{Method: "GET", Path: "/a", Query: []string{"no"}}),
	} {
		if _, err := d.Render(); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	_ = sample{}.private
}
