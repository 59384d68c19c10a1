package httpserver

import (
	"net/http"

	"herald/registry/catalog"
)

// What Consul has and Herald has not, in the words of a Consul in which it is turned
// off: clients look for it, and go on without it.
var (
	errNoACL     = refuse(http.StatusUnauthorized, "ACL support disabled")
	errNoConnect = refuse(http.StatusInternalServerError, "Connect must be enabled in order to use this endpoint")
	errNoPeering = refuse(http.StatusInternalServerError, "Peering is not enabled: Herald has no peer clusters")
	errNoKeyring = refuse(http.StatusInternalServerError, "There is no keyring: Herald's servers do not gossip")
)

// noACL answers below /v1/acl, and for the agent's tokens.
func (s *surface) noACL(*request) error { return errNoACL }

// noConnect answers below /v1/connect, but for the CA's roots.
func (s *surface) noConnect(*request) error { return errNoConnect }

// noPeering answers below /v1/peering.
func (s *surface) noPeering(*request) error { return errNoPeering }

// noPeerings is GET /v1/peerings.
func (s *surface) noPeerings(q *request) error { return q.jsonBytes(emptyList) }

// noKeyring answers for /v1/operator/keyring.
func (s *surface) noKeyring(*request) error { return errNoKeyring }

// noProxies answers for the proxies and gateways of a service: there are none.
func (s *surface) noProxies(q *request) error {
	name, err := q.need("Missing service name")
	if err != nil {
		return err
	}
	if _, err := s.catalogRead(q, catalog.ServiceTopic(name)); err != nil {
		return err
	}
	return q.jsonBytes(emptyList)
}
