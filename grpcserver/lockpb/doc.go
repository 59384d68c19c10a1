// Package lockpb holds the messages and the service of etcd's lock service, as gRPC names
// and writes them. etcd publishes its own Go package of them only together with its whole
// server. It is generated from lock.proto by "make proto", and knows nothing of how locks
// are kept, which is grpcserver's. It has no goroutines.
package lockpb
