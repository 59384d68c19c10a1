package httpserver

import (
	"strings"

	"herald/httpserver/api"
)

// nearOf is the node that ?near= names, "" for none.
func (s *surface) nearOf(q *request) string { return s.nodeNear(q, q.query.get("near")) }

// nodeNear is the node that something is asked to be near to.
func (s *surface) nodeNear(q *request, near string) string {
	switch near {
	case "_agent":
		return s.asker(q)
	case "_ip":
		return "" // how far an address is from a node is not known
	}
	return near
}

// asker is the node of who was asked: of the agent that passed the request on, or this
// process's.
func (s *surface) asker(q *request) string {
	if by := q.r.Header.Get(api.HeaderForwarded); by != "" {
		return by
	}
	return s.node
}

// nearest puts what is on a node first and otherwise keeps the order: how far apart
// nodes are is not known.
func nearest[T any](list []T, near string, node func(*T) string) []T {
	if near == "" {
		return list
	}
	first, rest := make([]T, 0, len(list)), []T(nil)
	for i := range list {
		if strings.EqualFold(node(&list[i]), near) {
			first = append(first, list[i])
		} else {
			rest = append(rest, list[i])
		}
	}
	return append(first, rest...)
}
