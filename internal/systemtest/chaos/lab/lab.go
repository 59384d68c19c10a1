//go:build linux

package lab

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Lab is the inner process's part of a lab. Its methods, and those of its nodes, are for
// one goroutine at a time, but for those that say otherwise.
type Lab struct {
	dir   string
	nodes []*Node
	cuts  map[Cut]bool
}

// Inside reports whether this process was started by Building.Run.
func Inside() bool { return os.Getenv(insideVar) != "" }

// Enter gives every node its disk. binary is what the nodes run; args, beside what each
// needs for its own addresses, how.
func Enter(binary string, args ...string) (*Lab, error) {
	dir := os.Getenv(insideVar)
	count, err := strconv.Atoi(os.Getenv(nodesVar))
	if dir == "" || err != nil {
		return nil, errors.New("this process is not in a lab: start it with Building.Run")
	}
	l := &Lab{dir: dir, cuts: map[Cut]bool{}}
	for i := range count {
		n := &Node{
			Name: nodeName(i), Address: nodeAddress(i), index: i,
			lab: l, dir: filepath.Join(dir, nodeName(i)), binary: binary, args: args,
		}
		l.nodes = append(l.nodes, n)
		if err := n.makeDisk(); err != nil {
			return nil, errors.Join(err, l.Close())
		}
	}
	return l, nil
}

// Nodes are all of them.
func (l *Lab) Nodes() []*Node { return l.nodes }

// Heal undoes every fault but those that ended a process.
func (l *Lab) Heal() error {
	errs := []error{l.SetCuts()}
	for _, n := range l.nodes {
		errs = append(errs, n.Thaw(), n.Drain(), n.SetStall(false), n.SetClock(0, 1), n.Resume())
	}
	return errors.Join(errs...)
}

// Close ends all processes and unmounts the disks. The outer process does the rest.
func (l *Lab) Close() error {
	errs := []error{l.Heal()}
	for _, n := range l.nodes {
		errs = append(errs, n.Kill(), n.unmount())
	}
	return errors.Join(errs...)
}

// Logs copies what the nodes printed to a directory.
func (l *Lab) Logs(to string) error {
	var errs []error
	for _, n := range l.nodes {
		b, err := os.ReadFile(n.logFile())
		if err == nil {
			err = os.WriteFile(filepath.Join(to, n.Name+".log"), b, 0o644)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// Cut is a wire that carries nothing from one node to another; what the other sends
// still arrives.
type Cut struct{ From, To *Node }

// Apart are the cuts that leave two groups of nodes without any way between them.
func Apart(a, b []*Node) []Cut {
	var cuts []Cut
	for _, x := range a {
		for _, y := range b {
			cuts = append(cuts, Cut{x, y}, Cut{y, x})
		}
	}
	return cuts
}

// SetCuts makes these cuts and heals all others. Clients reach every node all the same.
func (l *Lab) SetCuts(cuts ...Cut) error {
	want := map[Cut]bool{}
	for _, c := range cuts {
		want[c] = true
	}
	var errs []error
	for _, to := range l.nodes {
		var from []string
		changed := false
		for _, n := range l.nodes {
			c := Cut{n, to}
			if want[c] {
				from = append(from, n.Address)
			}
			changed = changed || want[c] != l.cuts[c]
		}
		if changed {
			errs = append(errs, to.refuse(from))
		}
	}
	l.cuts = want
	return errors.Join(errs...)
}

// refuse drops whatever comes from these addresses.
func (n *Node) refuse(from []string) error {
	rules := "add table inet chaos\n" +
		"add chain inet chaos in { type filter hook input priority 0; policy accept; }\n" +
		"flush chain inet chaos in\n"
	if len(from) > 0 {
		rules += fmt.Sprintf("add rule inet chaos in ip saddr { %s } drop\n", strings.Join(from, ", "))
	}
	return runWith(rules, "ip", "netns", "exec", n.namespace(), "nft", "-f", "-")
}
