// Package grpcserver is the door that speaks etcd's v3 API: gRPC and, on the same
// port, its JSON gateway and the paths that probes ask for. It follows
// https://etcd.io/docs/v3.6/dev-guide/api_reference_v3/; README.md says where it
// differs, and why.
//
// It owns its sockets, the translation between etcd's messages and the store's, and what
// exists for etcd's clients alone: alarms, the client URLs of the servers, users and roles,
// all kept in registry.SpaceSystem. It refuses to know how the store is replicated, what
// other doors make of the same keys, and when leases end.
//
// The user's keys are registry.SpaceKV, whose revision is the revision of every answer.
//
// Goroutines, each with who starts it and waits for it:
//
//   - splitter.accept, and splitter.sort for each new connection: Door.Run, by Door.Run.
//   - the gRPC server's, one or more for each connection and call: Door.Run, by its Stop.
//   - the HTTP server's: Door.Run, by its Shutdown or Close.
//   - those of the gateway's connection to the gRPC server: gateway.dial, by gateway.Close.
//   - receiveWatches, one for each stream of watches: watchService.Watch, through core.background.
//   - leaderWatch.run, core.runAlarms and core.runMembers: Door.Run, through core.background.
//   - those that the services' own comments name: by core.background, which Door.Run waits for.
package grpcserver
