// Package cookie makes and checks DNS server cookies (RFC 7873) in the form that
// servers of different makers share (RFC 9018): with one secret, each accepts the
// cookies of the others.
//
// A client that gives back the server cookie it was sent has shown that it receives
// what is sent to its address, so that it is not somebody else who forges it.
//
// It knows the data of the COOKIE option. It refuses to know the message around
// it, what is done with a client by the verdict, and how servers agree on a secret.
// It has no goroutines; a Keeper is safe for concurrent use.
package cookie
