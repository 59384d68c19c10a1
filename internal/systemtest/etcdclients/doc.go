// Package etcdclients drives the built binary with the clients that people have for etcd:
// clientv3 and what comes with it, the real etcdctl, curl on the JSON gateway, npm's etcd3, and viper's
// remote provider; on one server and on three, some of which are killed or frozen meanwhile.
//
// Its tests stand behind the build tag e2e (make e2e). Each has servers of its own, so that it can say
// what every revision is. They need etcdctl, curl, node and npm, and fail where one is missing. The binary
// is the one that HERALD_BIN names, or is built.
package etcdclients
