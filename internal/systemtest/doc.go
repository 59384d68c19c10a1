// Package systemtest drives the built binary as a user would, with the real curl
// and dig and a real web server, on loopback ports of its own choosing.
//
// Its tests stand behind the build tag e2e (make e2e). They need dig, curl and
// python3, and fail where one is missing. The binary is the one that HERALD_BIN
// names, or is built.
package systemtest
