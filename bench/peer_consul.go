package main

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
)

// consulServers starts Consul as one durable server with the settings that it comes with, but for addresses and directories.
func consulServers(_ *settings, binary, dir string, n int) ([]server, error) {
	if n != 1 {
		return nil, errors.New("consul is compared as one server: -nodes 1")
	}
	free, err := freeAddresses(6)
	if err != nil {
		return nil, err
	}
	port := func(i int) string {
		_, port := splitAddress(free[i])
		return port
	}
	const name = "consul-0"
	cmd := exec.Command(binary, "agent", "-server", "-bootstrap-expect", "1", "-node", name, "-data-dir", filepath.Join(dir, name),
		"-bind", "127.0.0.1", "-client", "127.0.0.1", "-log-level", "warn",
		"-http-port", port(0), "-dns-port", port(1), "-server-port", port(2), "-serf-lan-port", port(3), "-serf-wan-port", port(4),
		"-grpc-port", port(5), "-grpc-tls-port", "-1", "-disable-host-node-id",
		// Its limit for one client is far below what is measured.
		"-hcl", fmt.Sprintf("limits { http_max_conns_per_client = %d }", 1<<16))
	return []server{{name: name, http: free[0], cmd: cmd}}, nil
}
