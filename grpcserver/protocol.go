package grpcserver

import "strings"

// protocol is what a connection speaks.
type protocol uint8

const (
	undecided protocol = iota
	speaksHTTP1
	speaksHTTP2
)

// http2Preface is how a connection of HTTP/2, and so of gRPC, begins (RFC 9113 section
// 3.4). No request of HTTP/1 begins like it.
const http2Preface = "PRI * HTTP/2.0"

// protocolOf tells what a connection speaks that begins so.
func protocolOf(begun []byte) protocol {
	switch {
	case strings.HasPrefix(string(begun), http2Preface):
		return speaksHTTP2
	case strings.HasPrefix(http2Preface, string(begun)):
		return undecided
	}
	return speaksHTTP1
}
