package openapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"strings"
)

// Info is what a document says of the API as a whole.
type Info struct {
	Title, Version, Description string
}

// Operation is one method of one path.
type Operation struct {
	Method string
	// Path has the parts that a request fills in as names in braces: /v1/kv/{key}.
	Path string
	// Tag groups operations; Summary is a line.
	Tag, Summary string
	// Query are the names of parameters, of those that the document knows.
	Query []string
	// Body is what a request carries, nil for none.
	Body *Content
	// OK is what an answer with 200 carries, nil for nothing.
	OK *Content
	// Other are answers with other statuses.
	Other map[int]*Content
	// Indexed says that the answer has the headers of a read.
	Indexed bool
}

// Content is what a request or an answer carries: JSON of a Go type's form, of a schema given, or bytes.
type Content struct {
	// Description is a few words, of an answer; it may be empty.
	Description string
	// Type is a media type; "" is application/json.
	Type string
	// Of is the Go type that is encoded or decoded; nil if there is none.
	Of reflect.Type
	// Or are others that it may be of.
	Or []reflect.Type
	// Schema stands in place of Of's.
	Schema Schema
	// Optional says, of a request, that it may be left out.
	Optional bool
}

// JSON is content of T's form.
func JSON[T any]() *Content { return &Content{Of: reflect.TypeFor[T]()} }

// Parameter is a parameter of the query.
type Parameter struct {
	Description string
	Schema      Schema
	// Flag says that it counts by being there, whatever its value.
	Flag bool
}

// Document is what is rendered.
type Document struct {
	Info       Info
	Parameters map[string]Parameter
	// Headers are those of answers that are Indexed.
	Headers    map[string]string
	Operations []Operation
	Schemas    *Schemas

	requests *Schemas
}

type object = map[string]any

// Render is the document as JSON. An operation that names a parameter which the document does not know, or that is there
// twice, is an error.
func (d *Document) Render() ([]byte, error) {
	d.requests = d.Schemas.Requests()
	paths := map[string]object{}
	for i := range d.Operations {
		o := &d.Operations[i]
		for _, q := range o.Query {
			if _, ok := d.Parameters[q]; !ok {
				return nil, fmt.Errorf("%s %s has the parameter %q, which the document does not know", o.Method, o.Path, q)
			}
		}
		at := paths[o.Path]
		if at == nil {
			at = object{}
			if names := pathNames(o.Path); len(names) > 0 {
				at["parameters"] = pathParameters(names)
			}
			paths[o.Path] = at
		}
		method := strings.ToLower(o.Method)
		if at[method] != nil {
			return nil, fmt.Errorf("%s %s is there twice", o.Method, o.Path)
		}
		at[method] = d.operation(o)
	}
	parameters := object{}
	for name, p := range d.Parameters {
		one := object{"name": name, "in": "query", "description": p.Description, "schema": p.Schema}
		if p.Flag {
			one["allowEmptyValue"] = true
		}
		parameters[name] = one
	}
	headers := object{}
	for name, text := range d.Headers {
		headers[name] = object{"description": text, "schema": Schema{"type": "string"}}
	}
	return json.Marshal(object{
		"openapi": "3.1.0",
		"info":    object{"title": d.Info.Title, "version": d.Info.Version, "description": d.Info.Description},
		"servers": []object{{"url": "/"}},
		"paths":   paths,
		"components": object{
			"parameters": parameters, "headers": headers, "schemas": d.Schemas.components(),
			"responses": object{"Error": object{
				"description": "What is wrong and what to do about it, as text.",
				"content":     object{"text/plain": object{"schema": Schema{"type": "string"}}},
			}},
		},
	})
}

func (d *Document) operation(o *Operation) object {
	out := object{"operationId": operationID(o), "tags": []string{o.Tag}, "summary": o.Summary}
	var parameters []object
	for _, q := range o.Query {
		parameters = append(parameters, object{"$ref": "#/components/parameters/" + q})
	}
	if parameters != nil {
		out["parameters"] = parameters
	}
	if o.Body != nil {
		out["requestBody"] = object{"required": !o.Body.Optional, "content": content(o.Body, d.requests)}
	}
	ok := d.answer(o.OK, http.StatusOK)
	if o.Indexed {
		headers := object{}
		for name := range d.Headers {
			headers[name] = object{"$ref": "#/components/headers/" + name}
		}
		ok["headers"] = headers
	}
	answers := object{"200": ok, "default": object{"$ref": "#/components/responses/Error"}}
	for status, c := range o.Other {
		answers[strconv.Itoa(status)] = d.answer(c, status)
	}
	out["responses"] = answers
	return out
}

func (d *Document) answer(c *Content, status int) object {
	out := object{"description": http.StatusText(status)}
	if c == nil {
		return out
	}
	if c.Description != "" {
		out["description"] = c.Description
	}
	if c.Of != nil || c.Schema != nil || c.Type != "" {
		out["content"] = content(c, d.Schemas)
	}
	return out
}

func content(c *Content, schemas *Schemas) object {
	kind, schema := c.Type, c.Schema
	if kind == "" {
		kind = "application/json"
	}
	if schema == nil && c.Of != nil {
		schema = schemas.Of(c.Of)
		if len(c.Or) > 0 {
			any := []Schema{schema}
			for _, t := range c.Or {
				any = append(any, schemas.Of(t))
			}
			schema = Schema{"anyOf": any}
		}
	}
	media := object{}
	if schema != nil {
		media["schema"] = schema
	}
	return object{kind: media}
}

// operationID is the operation's method and path as one word.
func operationID(o *Operation) string {
	words := strings.FieldsFunc(o.Path, func(r rune) bool { return r == '/' || r == '-' || r == '.' || r == '{' || r == '}' })
	id := strings.ToLower(o.Method)
	for _, w := range words {
		id += strings.ToUpper(w[:1]) + w[1:]
	}
	return id
}

// pathNames are the names in braces.
func pathNames(path string) (names []string) {
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			names = append(names, strings.TrimSuffix(name, "}"))
		}
	}
	return names
}

func pathParameters(names []string) (all []object) {
	for _, name := range names {
		all = append(all, object{"name": name, "in": "path", "required": true, "schema": Schema{"type": "string"}})
	}
	return all
}
