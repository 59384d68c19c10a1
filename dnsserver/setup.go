package dnsserver

import "herald/registry/plugin"

func init() {
	plugin.Default.Door(plugin.DoorInfo{
		Name:    "dns",
		Summary: "DNS: services and nodes by name, as Consul names them",
		New:     func() plugin.Door { return New() },
	})
}
