package grpcserver

// Clients may compress what they send; etcd has taken gzip since 3.5. Who does is answered in
// kind. The limit on a message is on what it is when it is no longer compressed.
import _ "google.golang.org/grpc/encoding/gzip"
