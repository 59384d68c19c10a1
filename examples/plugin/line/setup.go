package line

import "herald/registry/plugin"

func init() {
	plugin.Default.Door(plugin.DoorInfo{
		Name:    "line",
		Summary: "one line in, one line out, over TCP",
		New:     func() plugin.Door { return &Door{config: Config{Address: "127.0.0.1:7070", IdleTimeout: defaultIdle}} },
	})
}
