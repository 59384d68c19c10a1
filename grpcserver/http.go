package grpcserver

import (
	"net/http"
	"strings"
)

// routes is everything that is served over HTTP. Paths and methods that are not here are
// refused in plain text, those below the gateway's own prefix in its JSON.
func (c *core) routes(gateway, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/v3/", gateway)
	mux.Handle("/v3beta/", renamed("/v3beta/", "/v3/", gateway))
	mux.HandleFunc("GET /version", c.serveVersion)
	mux.HandleFunc("GET /health", c.serveHealth)
	for _, p := range []*probe{c.livez(), c.readyz()} {
		mux.HandleFunc("GET "+p.path, p.serve)
		mux.HandleFunc("GET "+p.path+"/{check}", p.serveCheck)
	}
	mux.Handle("GET /metrics", c.metrics(metrics))
	return inTime(mux)
}

// renamed serves what is below one prefix as what is below another.
func renamed(from, to string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		as := r.Clone(r.Context())
		as.URL.Path = to + strings.TrimPrefix(r.URL.Path, from)
		as.URL.RawPath = "" // no name in the gateway's paths needs escaping
		next.ServeHTTP(w, as)
	})
}
