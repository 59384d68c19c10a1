package promsd

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/discovery/consul"
	"github.com/prometheus/prometheus/discovery/targetgroup"
)

// TestConsulDiscovery follows a service as consul_sd_configs does: an instance comes, another, one fails its check, one goes. The health
// is a label, by which configurations keep what passes.
func TestConsulDiscovery(t *testing.T) {
	all := strings.Split(os.Getenv("HERALD_HTTP"), ",")
	if all[0] == "" {
		t.Fatal("HERALD_HTTP names no server")
	}
	put(t, all[0], "/v1/agent/service/register", map[string]any{
		"ID": "prom-1", "Name": "prom-app", "Address": "127.0.0.1", "Port": 9101, "Tags": []string{"blue"}, "Meta": map[string]string{"version": "1"},
		"Check": map[string]string{"CheckID": "prom-1-ttl", "TTL": "10m", "Status": "passing"},
	})
	cfg := consul.DefaultSDConfig
	cfg.Server = all[len(all)-1]
	cfg.Services = []string{"prom-app"}
	cfg.RefreshInterval = model.Duration(100 * time.Millisecond) // between two answers that each waited for a change
	registry := prometheus.NewRegistry()
	refresh := discovery.NewRefreshMetrics(registry)
	metrics := cfg.NewDiscovererMetrics(registry, refresh)
	if err := metrics.Register(); err != nil {
		t.Fatal(err)
	}
	d, err := cfg.NewDiscoverer(discovery.DiscovererOptions{Logger: slog.New(slog.DiscardHandler), Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	groups := make(chan []*targetgroup.Group)
	done := make(chan struct{})
	go func() {
		defer close(done)
		d.Run(ctx, groups)
	}()
	defer func() {
		stop()
		for {
			select {
			case <-groups:
			case <-done:
				return
			}
		}
	}()

	awaitTargets(ctx, t, groups, "127.0.0.1:9101 passing ,blue, 1")
	put(t, all[0], "/v1/agent/service/register", map[string]any{"ID": "prom-2", "Name": "prom-app", "Address": "127.0.0.2", "Port": 9102, "Tags": []string{"green"}})
	awaitTargets(ctx, t, groups, "127.0.0.1:9101 passing ,blue, 1", "127.0.0.2:9102 passing ,green, ")
	put(t, all[0], "/v1/agent/check/fail/prom-1-ttl", nil)
	awaitTargets(ctx, t, groups, "127.0.0.1:9101 critical ,blue, 1", "127.0.0.2:9102 passing ,green, ")
	put(t, all[0], "/v1/agent/service/deregister/prom-1", nil)
	awaitTargets(ctx, t, groups, "127.0.0.2:9102 passing ,green, ")
	put(t, all[0], "/v1/agent/service/deregister/prom-2", nil)
	awaitTargets(ctx, t, groups)
}

// awaitTargets waits for the targets to be these.
func awaitTargets(ctx context.Context, t *testing.T, groups <-chan []*targetgroup.Group, want ...string) {
	t.Helper()
	var got []string
	for {
		select {
		case all := <-groups:
			got = nil
			for _, g := range all {
				for _, labels := range g.Targets {
					of := func(name string) string { return string(labels[model.LabelName(name)]) }
					got = append(got, fmt.Sprintf("%s %s %s %s", of(model.AddressLabel), of("__meta_consul_health"), of("__meta_consul_tags"), of("__meta_consul_service_metadata_version")))
				}
			}
			slices.Sort(got)
			if slices.Equal(got, want) {
				return
			}
		case <-ctx.Done():
			t.Fatalf("targets are %q, want %q", got, want)
		}
	}
}

func put(t *testing.T, server, path string, body any) {
	t.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+server+path, strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s", path, res.Status)
	}
}
