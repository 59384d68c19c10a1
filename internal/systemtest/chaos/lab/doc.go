// Package lab runs real herald processes on one machine as if each had a machine to
// itself: a network namespace with an address of its own, joined to the others by
// a bridge that lies in a namespace too, and a disk of its own, an ext4 image on a
// loop device. It can do to them what happens to machines: kill, freeze, cut wires, hang or
// fill a disk, make a clock wrong.
//
// It works in two processes. The outer one, Building, makes the namespaces and runs the
// inner one in the namespace of the clients, so that the inner one's sockets reach the
// nodes and nothing else; whatever becomes of the inner one, it then removes everything. What an
// outer one left behind that was killed itself, the next one removes: each holds a lock
// on its directory for as long as it lives. Mounts are made by the inner process, in its own
// mount namespace, and so go away with it and its children. Nothing of
// the host's network is touched.
//
// It needs Linux, root, and ip, nft, fsfreeze, nsenter and mkfs.ext4, and says so where one is missing. It knows
// how a server is started, and nothing of what the store promises.
//
// Each Node has one goroutine, which waits for its process; Lab.Close ends the processes and
// waits for them.
package lab
