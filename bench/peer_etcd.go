package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// etcdQuota is as much as etcd recommends at most. With the 2 GiB that it comes with it would refuse
// puts in the middle of a longer run.
const etcdQuota = 8 << 30

// etcdServers starts etcd with the settings that it comes with, but for addresses, directories and its quota.
func etcdServers(_ *settings, binary, dir string, n int) ([]server, error) {
	free, err := freeAddresses(2 * n)
	if err != nil {
		return nil, err
	}
	doors, peers := free[:n], free[n:]
	var members []string
	for i, p := range peers {
		members = append(members, fmt.Sprintf("etcd-%d=http://%s", i, p))
	}
	var all []server
	for i := range n {
		name := fmt.Sprintf("etcd-%d", i)
		cmd := exec.Command(binary, "--name", name, "--data-dir", filepath.Join(dir, name),
			"--listen-client-urls", "http://"+doors[i], "--advertise-client-urls", "http://"+doors[i],
			"--listen-peer-urls", "http://"+peers[i], "--initial-advertise-peer-urls", "http://"+peers[i],
			"--initial-cluster", strings.Join(members, ","), "--initial-cluster-state", "new",
			"--quota-backend-bytes", fmt.Sprint(etcdQuota))
		all = append(all, server{name: name, endpoint: doors[i], cmd: cmd})
	}
	return all, nil
}
