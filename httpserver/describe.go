package httpserver

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"

	"herald/httpserver/api"
	"herald/httpserver/openapi"
	"herald/registry"
)

// description is the API as a document, and its entity tag.
type description struct {
	text []byte
	tag  string
}

// describe is GET /v1/openapi.json.
func (s *surface) describe(q *request) error {
	d, err := s.description()
	if err != nil {
		return err
	}
	q.header()["Etag"] = []string{d.tag}
	if q.r.Header.Get("If-None-Match") == d.tag {
		q.w.WriteHeader(http.StatusNotModified)
		return nil
	}
	return q.jsonBytes(d.text)
}

// newDescription makes the document, which stays as it is for as long as the process
// runs.
func (s *surface) newDescription() (description, error) {
	b, err := s.describeAll()
	return description{text: b, tag: fmt.Sprintf(`"%x"`, sha256.Sum256(b))}, err
}

// describeAll is the API as an OpenAPI document.
func (s *surface) describeAll() ([]byte, error) {
	d := openapi.Document{
		Info: openapi.Info{
			Title: "Herald", Version: s.version,
			Description: "Consul's HTTP API on Herald's store, with leases on any record, streams of changes, whole configurations and members beside it. " +
				"A key in a path may have slashes. Errors are text, with a code for machines in X-Herald-Error.",
		},
		Parameters: describedParameters,
		Headers: map[string]string{
			api.HeaderIndex:       "the index of what was asked, for ?index=; never 0",
			api.HeaderKnownLeader: "whether a leader is known",
			api.HeaderLastContact: "how old a stale answer may be, in milliseconds",
		},
		Operations: slices.Clone(describedOperations),
		Schemas: openapi.NewSchemas(map[reflect.Type]openapi.Schema{
			reflect.TypeFor[api.Duration]():       {"type": "string", "description": "such as 10s"},
			reflect.TypeFor[api.LeaseID]():        {"type": "string", "pattern": "^-?[0-9]+$"},
			reflect.TypeFor[registry.LeaseID]():   {"type": "integer"},
			reflect.TypeFor[registry.Revisions](): {"type": "object", "additionalProperties": openapi.Schema{"type": "integer"}},
		}),
	}
	if s.cfg.Pprof {
		d.Operations = append(d.Operations, openapi.Operation{Method: http.MethodGet, Path: "/debug/pprof/{profile}", Tag: "process", Summary: "A profile of the process", OK: &openapi.Content{Type: "application/octet-stream"}})
	}
	for i := range d.Operations {
		o := &d.Operations[i]
		o.Query = slices.Clone(o.Query)
		if strings.HasPrefix(o.Path, "/v1/") {
			o.Query = append(o.Query, "dc", "token", "ns", "partition")
		}
		if o.OK != nil && (o.OK.Of != nil || o.OK.Schema != nil) && o.OK.Type == "" {
			o.Query = append(o.Query, "pretty")
		}
		o.Indexed = slices.Contains(o.Query, "index")
	}
	return d.Render()
}

var (
	isString  = openapi.Schema{"type": "string"}
	isLength  = openapi.Schema{"type": "string", "examples": []string{"10s"}}
	isCount   = openapi.Schema{"type": "integer", "minimum": 0}
	isStrings = openapi.Schema{"type": "array", "items": isString}
	isFlag    = openapi.Schema{}
)

// describedParameters are all that the surface looks for in a query.
var describedParameters = map[string]openapi.Parameter{
	"dc":                      {Description: "the datacenter; another than this one is refused", Schema: isString},
	"token":                   {Description: "accepted, and means nothing", Schema: isString},
	"ns":                      {Description: "must be default or empty: there are no namespaces", Schema: isString},
	"partition":               {Description: "must be default or empty: there are no partitions", Schema: isString},
	"pretty":                  {Description: "lay the JSON out for a person", Schema: isFlag, Flag: true},
	"stale":                   {Description: "take what the asked server has, also without a leader", Schema: isFlag, Flag: true},
	"consistent":              {Description: "see every write acknowledged before", Schema: isFlag, Flag: true},
	"cached":                  {Description: "accepted; the answer is live in any case", Schema: isFlag, Flag: true},
	"index":                   {Description: "wait until the index of what is asked is above this", Schema: isCount},
	"wait":                    {Description: "for how long, 5m unless said, 10m at most", Schema: isLength},
	"filter":                  {Description: "select by an expression over the fields of the answer (hashicorp/go-bexpr)", Schema: isString},
	"near":                    {Description: "put what is on this node first; _agent is that of the process that is asked", Schema: isString},
	"tag":                     {Description: "only with this tag, each of these tags if it is repeated", Schema: isStrings},
	"node-meta":               {Description: "only on nodes with this key:value", Schema: isStrings},
	"passing":                 {Description: "only what passes all of its checks", Schema: isFlag, Flag: true},
	"raw":                     {Description: "the value's bytes alone", Schema: isFlag, Flag: true},
	"text":                    {Description: "values that are UTF-8 as text, others with Encoding base64", Schema: isFlag, Flag: true},
	"recurse":                 {Description: "every key that begins with this", Schema: isFlag, Flag: true},
	"keys":                    {Description: "names alone", Schema: isFlag, Flag: true},
	"separator":               {Description: "fold names that go on behind this", Schema: isString},
	"cas":                     {Description: "only if the ModifyIndex is this; 0: only if there is none", Schema: isCount},
	"flags":                   {Description: "a number kept with the key", Schema: isCount},
	"acquire":                 {Description: "take the key's lock for this session", Schema: isString},
	"release":                 {Description: "give up the key's lock of this session", Schema: isString},
	"ttl":                     {Description: "attach what is written to a new lease of this length", Schema: isLength},
	"lease":                   {Description: "attach what is written to this lease", Schema: isString},
	"format":                  {Description: "the form of the answer", Schema: isString},
	"typed":                   {Description: "numbers and booleans as such", Schema: isFlag, Flag: true},
	"prune":                   {Description: "delete what is below the prefix and not in the document", Schema: isFlag, Flag: true},
	"key":                     {Description: "follow this key", Schema: isString},
	"prefix":                  {Description: "only what begins with this", Schema: isString},
	"service":                 {Description: "only of this service", Schema: isStrings},
	"note":                    {Description: "the check's output", Schema: isString},
	"replace-existing-checks": {Description: "drop the service's checks that the definition does not name", Schema: isFlag, Flag: true},
	"hash":                    {Description: "wait until the definition's hash is another than this", Schema: isString},
	"reason":                  {Description: "why", Schema: isString},
	"enable":                  {Description: "true or false", Schema: openapi.Schema{"type": "boolean"}},
	"loglevel":                {Description: "the least level of lines", Schema: isString},
	"logjson":                 {Description: "lines as JSON", Schema: isFlag, Flag: true},
	"node":                    {Description: "only on nodes whose name matches this", Schema: isString},
	"name":                    {Description: "only of this name", Schema: isString},
	"id":                      {Description: "the id of the server", Schema: isString},
	"address":                 {Description: "the address of the server", Schema: isString},
	"segment":                 {Description: "only of this network segment", Schema: isString},
	"pem":                     {Description: "the certificates alone, as PEM", Schema: isFlag, Flag: true},
	"limit":                   {Description: "at most so many", Schema: isCount},
}

var (
	reads     = []string{"stale", "consistent", "index", "wait"}
	ofCatalog = append(slices.Clone(reads), "cached", "filter")
	nearby    = append(slices.Clone(ofCatalog), "near", "node-meta")

	asText    = &openapi.Content{Type: "text/plain"}
	asBoolean = openapi.JSON[bool]()
	asBytes   = &openapi.Content{Type: "application/octet-stream"}
	asAny     = &openapi.Content{Schema: openapi.Schema{}}
)

func with(names []string, more ...string) []string { return append(slices.Clone(names), more...) }
