// Package catalog is what services, nodes and checks are, as keys and as an index.
package catalog

// Catalog is the live catalog.
type Catalog struct{}
