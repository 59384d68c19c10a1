//go:build e2e

package consulclients

import "testing"

// TestPrometheusConsulDiscovery runs the test of the module promsd.
func TestPrometheusConsulDiscovery(t *testing.T) { runModule(t, "promsd") }
