package httpserver

import "herald/registry/plugin"

func init() {
	plugin.Default.Door(plugin.DoorInfo{
		Name:    "http",
		Summary: "Consul's HTTP API (/v1), metrics and probes",
		New:     func() plugin.Door { return New() },
	})
}
