// Package openapi renders a description of an HTTP API as an OpenAPI 3.1 document.
//
// It owns the document's form, and the schemas, which are those of the Go types that are encoded and decoded. It refuses to know
// what the API does, and which there is: its user hands it the operations. It starts no goroutine.
//
// See https://spec.openapis.org/oas/v3.1.0 and JSON Schema 2020-12, which 3.1 takes its schemas from.
package openapi
