package grpcserver

import "herald/registry/plugin"

func init() {
	plugin.Default.Door(plugin.DoorInfo{
		Name:    "etcd",
		Summary: "etcd's v3 API: gRPC and its JSON gateway on one port",
		New:     func() plugin.Door { return New() },
	})
}
