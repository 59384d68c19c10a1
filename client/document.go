package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"herald/registry"
)

// DocumentOptions are what a document of keys is to be.
type DocumentOptions struct {
	// Format is json, yaml, toml, env or properties; "" is json.
	Format string
	// Typed has numbers and booleans as such where the format can hold them; without it all values are text.
	Typed bool
	// Prune deletes what is below the prefix and not in the document that is put.
	Prune bool
}

func (o *DocumentOptions) query() url.Values {
	query := url.Values{}
	if o.Format != "" {
		query.Set("format", o.Format)
	}
	if o.Typed {
		query.Set("typed", "")
	}
	if o.Prune {
		query.Set("prune", "")
	}
	return query
}

func documentPath(prefix string) string { return "/v1/config/" + prefix }

// Document renders all keys below prefix as one document. That there are none is registry.ErrKeyNotFound; keys that the
// format cannot hold are named in the error.
func (k KV) Document(ctx context.Context, prefix string, o DocumentOptions, read ReadOptions) ([]byte, Meta, error) {
	rep, meta, err := k.c.document(ctx, read.call(documentPath(prefix), o.query()))
	if err == nil && rep == nil {
		err = fmt.Errorf("%w: there is nothing below %q", registry.ErrKeyNotFound, prefix)
	}
	if err != nil {
		return nil, meta, err
	}
	return rep.body, meta, nil
}

// PutDocument writes the keys of a document below prefix in one transaction, where they differ.
func (k KV) PutDocument(ctx context.Context, prefix string, document []byte, o DocumentOptions) error {
	_, err := k.c.do(ctx, call{method: http.MethodPut, path: documentPath(prefix), query: o.query(), body: document, repeatable: true})
	return err
}
