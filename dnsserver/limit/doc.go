// Package limit bounds how many queries of one client are answered, so that a
// forged address cannot be flooded with answers.
//
// A client is an IPv4 address or an IPv6 /56, which is what one customer has. Each may
// ask at a rate, and by as many as a burst ahead of it. Of what is over, each Nth query
// is to be answered with nothing but the TC bit: a real client then comes over TCP,
// where addresses cannot be forged and nothing is limited, and somebody
// who forges gains nothing by answers as small as queries. The others are dropped.
//
// It knows addresses and times. It refuses to know packets, and the time: its
// caller has read the clock for a whole batch. It has no goroutines and no locks;
// a Limiter is safe for concurrent use, allocates nothing, and its memory is fixed
// when it is made: if there are more clients than it remembers, those are forgotten who asked least.
package limit
