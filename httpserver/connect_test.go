package httpserver

import (
	"crypto/x509"
	"encoding/pem"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
)

// The root is a certificate, the same for all who ask, also at once.
func TestTheClusterHasOneRoot(t *testing.T) {
	h := open(t)
	var mu sync.Mutex
	got := map[string]int{}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			a := h.send("GET", "/v1/connect/ca/roots?pem", "")
			mu.Lock()
			defer mu.Unlock()
			got[a.body]++
		})
	}
	all.Wait()
	if len(got) != 1 {
		t.Fatalf("there are %d roots", len(got))
	}
	var roots api.CARoots
	if i := h.get("/v1/agent/connect/ca/roots", &roots); i == 0 {
		t.Error("no index")
	}
	if len(roots.Roots) != 1 || roots.ActiveRootID == "" || roots.Roots[0].ID != roots.ActiveRootID || !roots.Roots[0].Active {
		t.Fatalf("got %+v", roots)
	}
	root := roots.Roots[0]
	if got[root.RootCert] == 0 {
		t.Error("it is another one as a document than as PEM")
	}
	block, rest := pem.Decode([]byte(root.RootCert))
	if block == nil || len(rest) != 0 {
		t.Fatalf("not PEM: %s", root.RootCert)
	}
	cert, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	if _, err := cert.Verify(x509.VerifyOptions{Roots: pool, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Errorf("it does not verify itself: %v", err)
	}
	if !cert.IsCA || len(cert.URIs) != 1 || cert.URIs[0].Host != roots.TrustDomain || !strings.HasSuffix(roots.TrustDomain, ".consul") {
		t.Errorf("certificate of %v, trust domain %s", cert.URIs, roots.TrustDomain)
	}
	if until, err := time.Parse(time.RFC3339, root.NotAfter); err != nil || time.Until(until) < 10*365*24*time.Hour {
		t.Errorf("valid until %s", root.NotAfter)
	}
	if root.SerialNumber != cert.SerialNumber.Uint64() {
		t.Errorf("serial number %d, want %d", root.SerialNumber, cert.SerialNumber)
	}
	if r, err := h.store.Range(t.Context(), registry.RangeRequest{Space: registry.SpaceKV, KeyRange: registry.All(), CountOnly: true}); err != nil || r.Revision != 1 {
		t.Errorf("the keys are at revision %d, %v: none was written", r.Revision, err)
	}
}

func TestWhatIsNotThereSaysSo(t *testing.T) {
	h := open(t)
	var steps []step
	for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
		for _, path := range []string{"/v1/acl/tokens", "/v1/acl/token/self", "/v1/acl/bootstrap", "/v1/acl/login", "/v1/agent/token/default"} {
			steps = append(steps, step{method, path, "", 401, "ACL support disabled"})
		}
		for _, path := range []string{"/v1/connect/intentions", "/v1/connect/ca/configuration", "/v1/agent/connect/ca/leaf/web"} {
			steps = append(steps, step{method, path, "", 500, "Connect must be enabled in order to use this endpoint"})
		}
		steps = append(steps, step{method, "/v1/operator/keyring", "", 500, "There is no keyring…"}, step{method, "/v1/peering/x", "", 500, "Peering is not enabled…"})
	}
	h.steps(append(steps, []step{
		{"GET", "/v1/peerings", "", 200, "[]"},
		{"GET", "/v1/catalog/connect/web", "", 200, "[]"},
		{"GET", "/v1/catalog/connect/", "", 400, "Missing service name"},
		{"GET", "/v1/catalog/gateway-services/g", "", 200, "[]"},
		{"GET", "/v1/health/connect/web", "", 200, "[]"},
		{"GET", "/v1/health/ingress/web", "", 200, "[]"},
		{"GET", "/v1/internal/ui/services", "", 404, "Invalid URL path: not a recognized HTTP API endpoint"},
		{"PUT", "/v1/operator/autopilot/configuration", "{}", 400, "How servers are looked after…"},
	}...))
	if i := h.ok("GET", "/v1/health/connect/web", "").index(); i == 0 {
		t.Error("an empty list has no index")
	}
}

func TestUsage(t *testing.T) {
	h := open(t)
	h.register(`{"Node":"n1","Address":"10.0.0.1","Service":{"Service":"consul"}}`)
	h.register(`{"Node":"n2","Address":"10.0.0.2","Service":{"Service":"web"}}`)
	h.register(`{"Node":"n2","Address":"10.0.0.2","Service":{"ID":"web-2","Service":"web"}}`)
	var u api.Usage
	i := h.get("/v1/operator/usage", &u)
	if of := u.Usage["dc1"]; i == 0 || of.Nodes != 2 || of.Services != 2 || of.ServiceInstances != 3 || of.BillableServiceInstances != 2 {
		t.Errorf("got %+v at %d", u, i)
	}
}
