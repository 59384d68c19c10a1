package httpserver

import (
	"fmt"
	"net/url"
	"strings"
)

// params is a parsed query string. It keeps order and repetitions and, unlike
// url.Values, needs no map: a request has few.
type params struct {
	pairs []pair
	few   [8]pair
}

type pair struct{ key, value string }

// parse reads a query string; an escape that is none is an error.
func (p *params) parse(raw string) error {
	p.pairs = p.few[:0]
	for raw != "" {
		var part string
		part, raw, _ = strings.Cut(raw, "&")
		if part == "" {
			continue
		}
		key, value, _ := strings.Cut(part, "=")
		key, err := unescape(key)
		if err != nil {
			return err
		}
		value, err = unescape(value)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		p.pairs = append(p.pairs, pair{key, value})
	}
	return nil
}

func unescape(s string) (string, error) {
	if !strings.ContainsAny(s, "%+") {
		return s, nil
	}
	return url.QueryUnescape(s)
}

// clear forgets everything, so that nothing of a request is kept alive.
func (p *params) clear() {
	p.pairs = nil
	p.few = [8]pair{}
}

// lookup returns the first value of key.
func (p *params) lookup(key string) (string, bool) {
	for i := range p.pairs {
		if p.pairs[i].key == key {
			return p.pairs[i].value, true
		}
	}
	return "", false
}

// has reports whether key is there, with or without a value.
func (p *params) has(key string) bool {
	_, ok := p.lookup(key)
	return ok
}

// get returns the first value of key, "" if there is none.
func (p *params) get(key string) string {
	v, _ := p.lookup(key)
	return v
}

// first returns the first value that is not empty of several spellings.
func (p *params) first(keys ...string) string {
	for _, k := range keys {
		if v := p.get(k); v != "" {
			return v
		}
	}
	return ""
}

// all returns every value of key, nil if there is none.
func (p *params) all(key string) []string {
	var vs []string
	for i := range p.pairs {
		if p.pairs[i].key == key {
			vs = append(vs, p.pairs[i].value)
		}
	}
	return vs
}
