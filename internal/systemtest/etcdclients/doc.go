// Package etcdclients drives the built binary with the clients that people have for etcd:
// clientv3 and what comes with it, the real etcdctl, curl on the JSON gateway, npm's etcd3, and viper's
// remote provider; on one server and on three, some of which are killed or frozen meanwhile.
//
// Its tests stand behind the build tag e2e (make e2e). Each has servers of its own, so that it can say
// what every revision is. They need etcdctl, curl, node and npm, and fail where one is missing. The binary
// is the one that HERALD_BIN names, or is built.
//
// With HERALD_TEST_ETCD=/usr/bin/etcd, or whichever etcd since 3.4 it names, every test that speaks
// nothing but etcd's API drives that instead, one server and three: what a test expects of Herald
// has to be true of etcd first. Where the two are to differ, or etcd 3.4 from 3.7, the test says so at the place.
package etcdclients
