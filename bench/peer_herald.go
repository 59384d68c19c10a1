package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// heraldServers starts Herald with the settings that it comes with, but for addresses and directories.
func heraldServers(_ *settings, binary, dir string, n int) ([]server, error) {
	free, err := freeAddresses(4 * n)
	if err != nil {
		return nil, err
	}
	doors, peers, http, dns := free[:n], free[n:2*n], free[2*n:3*n], free[3*n:]
	var all []server
	for i := range n {
		name := fmt.Sprintf("herald-%d", i)
		args := []string{"server", "--node-name", name, "--node-address", "127.0.0.1", "--data-dir", filepath.Join(dir, name),
			"--peer-address", peers[i], "--http-address", http[i], "--dns-address", dns[i], "--etcd-address", doors[i],
			"--bootstrap-expect", fmt.Sprint(n)}
		if n > 1 {
			args = append(args, "--join", strings.Join(peers, ","))
		}
		all = append(all, server{name: name, endpoint: doors[i], http: http[i], dns: dns[i], cmd: exec.Command(binary, args...)})
	}
	return all, nil
}
