//go:build bug_txn_blind

package httpserver

const bugTxnBlind = true
