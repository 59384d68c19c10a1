package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// nsdServers starts NSD as one process that answers, beside the two that it has for the rest, with a zone of the same names that
// the others are filled with. All its files are in dir.
//
// Its limits are those of Herald: no rate limit, of which Debian's has one, and answers of up to 4096 bytes. Its answers
// are larger by what no setting takes away: 33 bytes for the zone's name server, which stay away only with the addresses of SRV
// targets, and ten for each of these, whose names it does not shorten by what it said of them before.
func nsdServers(s *settings, binary, dir string, n int) ([]server, error) {
	if n != 1 {
		return nil, errors.New("nsd is compared as one server: -nodes 1")
	}
	free, err := freeAddresses(1)
	if err != nil {
		return nil, err
	}
	host, port := splitAddress(free[0])
	config := filepath.Join(dir, "nsd.conf")
	text := strings.NewReplacer("DIR", dir, "ADDRESS", host+"@"+port, "DOMAIN", dnsDomain).Replace(nsdConfig)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return nil, err
	}
	zone, err := os.Create(filepath.Join(dir, "zone"))
	if err != nil {
		return nil, err
	}
	defer zone.Close()
	if err := s.dnsCatalog.writeZone(zone); err != nil {
		return nil, fmt.Errorf("write nsd's zone: %w", err)
	}
	return []server{{name: "nsd-0", dns: free[0], cmd: exec.Command(binary, "-d", "-c", config)}}, nil
}

const nsdConfig = `server:
    server-count: 1
    ip-address: ADDRESS
    round-robin: yes
    ipv4-edns-size: 4096
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    username: ""
    chroot: ""
    database: ""
    zonesdir: "DIR"
    pidfile: "DIR/nsd.pid"
    xfrdfile: "DIR/xfrd.state"
    xfrdir: "DIR"
    zonelistfile: "DIR/zone.list"
remote-control:
    control-enable: no
zone:
    name: "DOMAIN"
    zonefile: "DIR/zone"
`
