package check

import "herald/registry/plugin"

func init() {
	plugin.Default.Check(plugin.CheckInfo{
		Name: HTTP, Summary: "asks a URL: 2xx is passing, 429 warning, all else critical", New: NewHTTP,
	})
	plugin.Default.Check(plugin.CheckInfo{
		Name: TCP, Summary: "connects to a TCP address: passing if that succeeds", New: NewTCP,
	})
	plugin.Default.Check(plugin.CheckInfo{
		Name: Exec, Summary: "runs a command: exit status 0 is passing, 1 warning, all else critical", New: NewExec,
	})
	plugin.Default.Check(plugin.CheckInfo{
		Name: TTL, Summary: "waits for reports: the last one holds for the TTL, then it is critical", New: NewTTL,
	})
}
