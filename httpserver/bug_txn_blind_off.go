//go:build !bug_txn_blind

package httpserver

// bugTxnBlind plants a bug in a test build: a transaction is applied whatever came between its look and its writes.
const bugTxnBlind = false
