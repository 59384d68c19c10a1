// Package electionpb holds the messages and the service of etcd's election service, as gRPC
// names and writes them. etcd publishes its own Go package of them only together with its
// whole server. It is generated from election.proto by "make proto", and knows nothing of how
// elections are decided, which is grpcserver's. It has no goroutines.
package electionpb
