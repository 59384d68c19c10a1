// Package skydns keeps the records that are written as keys of the store in SkyDNS's form, as CoreDNS's
// plugin etcd reads them from an etcd: below a prefix, the key of a name is its labels from the right
// to the left, and the value a JSON object.
//
//	/skydns/local/skydns/x   {"host":"10.0.0.1","port":80}   x.skydns.local
//
// It owns what keys and values mean (Prefix, ParseValue), which records a name finds (Tree), and keeping those equal to
// the store's (Follower). It refuses to know zones, types of records and packets. A Tree is immutable and may be read by any number of
// goroutines; the next one shares with it what did not change. Follower.Follow runs in its caller's goroutine
// and starts none.
package skydns
