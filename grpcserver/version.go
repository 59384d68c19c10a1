package grpcserver

import "net/http"

// What etcd's clients are told that they speak with. They compare it to know what they may
// ask, and parse it as numbers, so Herald's own version has no place in it.
const (
	apiVersion     = "3.7.3"
	clusterVersion = "3.7.0"
	storageVersion = "3.7.0"
)

// serveVersion serves /version.
func (c *core) serveVersion(w http.ResponseWriter, _ *http.Request) {
	answerJSON(w, http.StatusOK, struct {
		Server  string `json:"etcdserver"`
		Cluster string `json:"etcdcluster"`
		Storage string `json:"storage"`
		Herald  string `json:"herald"`
	}{apiVersion, clusterVersion, storageVersion, c.version})
}
