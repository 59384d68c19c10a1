package check

import "herald/registry/plugin"

// kinds are what this package registers.
var kinds = []plugin.CheckInfo{
	{Name: Alias, Summary: "stands as the checks of another service or node do", New: NewAlias},
	{Name: Docker, Summary: "runs a command in a container: exit status 0 is passing, 1 warning, all else critical", New: NewDocker},
	{Name: Exec, Summary: "runs a command: exit status 0 is passing, 1 warning, all else critical", New: NewExec},
	{Name: GRPC, Summary: "asks a gRPC server by its health checking protocol: SERVING is passing, all else critical", New: NewGRPC},
	{Name: H2Ping, Summary: "pings an HTTP/2 server: passing if it answers", New: NewH2Ping},
	{Name: HTTP, Summary: "asks a URL: 2xx is passing, 429 warning, all else critical", New: NewHTTP},
	{Name: OSService, Summary: "asks the system's service manager: a service that runs is passing", New: NewOSService},
	{Name: TCP, Summary: "connects to a TCP address: passing if that succeeds", New: NewTCP},
	{Name: TTL, Summary: "waits for reports: the last one holds for the TTL, then it is critical", New: NewTTL},
	{Name: UDP, Summary: "sends a datagram: passing unless nobody listens there", New: NewUDP},
}

func init() {
	for _, k := range kinds {
		plugin.Default.Check(k)
	}
}
