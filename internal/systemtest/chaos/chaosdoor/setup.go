package chaosdoor

import "herald/registry/plugin"

func init() {
	plugin.Default.Door(plugin.DoorInfo{
		Name:    "chaos",
		Summary: "the whole store over TCP, for tests",
		New:     func() plugin.Door { return &Door{config: Config{Address: "127.0.0.1:7999"}} },
	})
}
