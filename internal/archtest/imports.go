package archtest

import (
	"fmt"
	"slices"
	"strings"
)

// allowance is what the packages of one directory may import of ours.
type allowance struct {
	dir string
	// imports are directories; one that ends in "/..." stands for what is below it.
	imports []string
	// inFile are imports for one file alone, by its base name.
	inFile map[string][]string
	// tests are imports for the _test.go files, beside those of the code and of
	// everyTest.
	tests []string
	why   string
}

// everyTest is what any test may import: the conformance suite, the store
// in memory, which is a real one, and certificates.
var everyTest = []string{"registry/storetest", "registry/plugin/certfile/certtest"}

// directions is the architecture. A package that is not in it fails: the arrows of a
// new one are to be decided, not found out.
var directions = []allowance{
	{dir: "registry",
		why: "the vocabulary lies at the bottom, so it knows nobody"},
	{dir: "registry/cow",
		why: "its collections know nothing of what is kept in them"},
	{dir: "registry/wire",
		why: "a wrapper of a library knows the library alone"},
	{dir: "registry/mvcc", imports: []string{"registry", "registry/cow", "registry/wire"},
		why: "the state machine is what is replicated and must not know how, nor who watches"},
	{dir: "registry/archive", imports: []string{"registry", "registry/mvcc"},
		why: "a file of the state needs the state's own encoding, and no store to read it"},
	{dir: "registry/watch", imports: []string{"registry", "registry/cow", "registry/wire"},
		tests: []string{"registry/mvcc"},
		why:   "the hub is fed through its own History interface, so that the state machine stays free of goroutines"},
	{dir: "registry/catalog", imports: []string{"registry", "registry/cow", "registry/wire"},
		tests: []string{"registry/mvcc", "registry/watch"},
		why:   "the catalog is a function of the keys, the same over every Store"},
	{dir: "registry/session", imports: []string{"registry", "registry/catalog", "registry/wire"},
		tests: []string{"registry/storetest"},
		why:   "a session is a lease, a record and checks, whichever store has them and whoever asks"},
	{dir: "registry/query", imports: []string{"registry", "registry/catalog"},
		why: "what a query means is a function of the keys and the catalog, for every door the same"},
	{dir: "registry/definition", imports: []string{"registry"},
		why: "a file format is translated to the vocabulary and nothing else"},
	{dir: "registry/plugin/certfile",
		why: "certificates are the same for every door, whatever it speaks"},
	{dir: "registry/plugin/certfile/certtest",
		why: "what is made for tests of TLS knows nothing of what is spoken over it"},
	{dir: "registry/plugin", imports: []string{"registry", "registry/catalog"},
		why: "what a plugin is offered must not drag in how any of it is done"},
	{dir: "registry/storetest", imports: []string{"registry", "registry/mvcc", "registry/watch"},
		why: "the suite must not know the stores it judges; its own store in memory is the state machine and the hub"},
	{dir: "raftstore", imports: []string{"registry", "registry/archive", "registry/mvcc", "registry/watch", "registry/wire", "raftstore/peer"},
		tests: []string{"raftstore/peer/memnet"},
		why:   "replication never sees a protocol, nor what the keys mean"},
	{dir: "raftstore/peer", imports: []string{"registry"}, tests: []string{"raftstore/peer/memnet"},
		why: "it carries bytes between servers, and shares no more with their store than what errors are called"},
	{dir: "raftstore/peer/memnet", imports: []string{"raftstore/peer"},
		why: "a network for tests is a peer.Network and knows nothing of what goes through it"},
	{dir: "httpserver",
		imports: []string{"registry", "registry/catalog", "registry/definition", "registry/plugin", "registry/query", "registry/session", "httpserver/api", "httpserver/document", "httpserver/filter", "httpserver/openapi"},
		why:     "a door meets the store and the agent at the interfaces of registry, and other doors never"},
	{dir: "httpserver/api", imports: []string{"registry", "registry/query"},
		why: "the types that client and door share must not bring the server to the client"},
	{dir: "httpserver/document",
		why: "how a document is spelled does not depend on where its keys are kept"},
	{dir: "httpserver/filter",
		why: "what an expression means does not depend on what the documents are of"},
	{dir: "httpserver/openapi",
		why: "how an API is described does not depend on which it is"},
	{dir: "dnsserver", imports: []string{"dnsserver/...", "registry", "registry/catalog", "registry/plugin", "registry/plugin/certfile", "registry/query"},
		why: "a door meets the store and the agent at the interfaces of registry, and other doors never"},
	{dir: "dnsserver/cookie",
		why: "whether a client is who it says is a function of a few bytes and a secret"},
	{dir: "dnsserver/limit",
		why: "how often a client asks does not depend on what"},
	{dir: "dnsserver/recursor",
		why: "what others answer for does not depend on what we do"},
	{dir: "dnsserver/skydns", imports: []string{"registry", "registry/cow"},
		why: "what keys mean does not depend on zones, nor on how an answer is written"},
	{dir: "grpcserver", imports: []string{"registry", "registry/plugin", "registry/plugin/certfile", "grpcserver/..."},
		why: "a door meets the store and the agent at the interfaces of registry, and other doors never"},
	{dir: "grpcserver/lockpb",
		why: "what goes over the wire is nobody's code"},
	{dir: "grpcserver/electionpb",
		why: "what goes over the wire is nobody's code"},
	{dir: "client", imports: []string{"registry", "registry/catalog", "httpserver/api"},
		tests: []string{"httpserver", "registry/plugin"},
		why:   "a program that uses the client must not link the server"},
	{dir: "agent", imports: []string{"registry", "registry/catalog", "registry/watch", "registry/definition", "agent/..."},
		why: "the agent reaches the servers through its Upstream interface, whichever process it runs in"},
	{dir: "agent/check", imports: []string{"registry"},
		inFile: map[string][]string{"setup.go": {"registry/plugin"}},
		why:    "a check kind needs a definition and nothing of the agent; only its registration, in setup.go, knows the plugin registry"},
	{dir: "agent/durable", imports: []string{"registry"},
		why: "whether bytes are there after a crash does not depend on what they mean; of registry it needs what errors are called"},
	{dir: "internal/node",
		imports: []string{"registry", "registry/catalog", "registry/plugin", "registry/session", "raftstore", "agent", "agent/..."},
		tests:   []string{"..."},
		why:     "a process is a store, an agent and the plugins it was given; which plugins is for cmd/herald to choose"},
	{dir: "internal/archtest",
		why: "it reads the others' source and needs none of their code"},
	{dir: "internal/systemtest", tests: []string{"..."},
		why: "it drives the built binary"},
	{dir: "internal/systemtest/process", imports: []string{"registry", "httpserver/api"},
		why: "it runs processes, and knows of them what the command line prints"},
	{dir: "internal/systemtest/consulclients", tests: []string{"internal/systemtest/process"},
		why: "whoever plays a client of Consul knows the binary, and nothing of what it is made of"},
	{dir: "internal/systemtest/dnsclients", tests: []string{"internal/systemtest/process"},
		why: "name servers and load balancers are told where to ask, and nothing of what answers"},
	{dir: "internal/systemtest/etcdclients", tests: []string{"internal/systemtest/process"},
		why: "what etcd's clients are told needs none of our code to be understood"},
	{dir: "internal/systemtest/chaos/chaosdoor", imports: []string{"registry", "registry/plugin"},
		why: "a door meets the store at the interfaces of registry, and is part of the binary under test: it must not bring what judges it"},
	{dir: "internal/systemtest/chaos/etcdclient", imports: []string{"registry"}, tests: []string{"..."},
		why: "it knows what etcd's clients know, in the words that the others are recorded in"},
	{dir: "internal/systemtest/chaos/herald",
		imports: []string{"cmd/cli", "cmd/standard", "internal/systemtest/chaos/chaosdoor", "registry/plugin"},
		why:     "the binary under test is the one that is shipped, and one door"},
	{dir: "internal/systemtest/chaos/lab",
		tests: []string{"registry", "internal/systemtest/chaos/chaosdoor"},
		why:   "what is done to machines does not depend on what runs on them"},
	{dir: "internal/systemtest/chaos/fault",
		imports: []string{"registry", "internal/systemtest/chaos/chaosdoor", "internal/systemtest/chaos/history", "internal/systemtest/chaos/lab"},
		why:     "who breaks things must not know how it is judged, nor what is done meanwhile"},
	{dir: "internal/systemtest/chaos", imports: []string{"internal/systemtest/chaos/..."},
		why: "it puts the parts of a run together and drives processes, not packages"},
	{dir: "internal/systemtest/chaos/failover",
		why: "it measures processes, and needs none of their code"},
	{dir: "internal/systemtest/chaos/history", imports: []string{"registry"},
		why: "what was seen is written down in the vocabulary, and by whom and how is not its business"},
	{dir: "internal/systemtest/chaos/check", imports: []string{"registry", "internal/systemtest/chaos/history"},
		why: "a judge knows the evidence alone"},
	{dir: "internal/systemtest/chaos/workload", imports: []string{"registry", "httpserver/api", "internal/systemtest/chaos/etcdclient", "internal/systemtest/chaos/history"},
		tests: []string{"..."},
		why:   "clients know what any client knows, and nothing of the servers"},
	{dir: "configs", tests: []string{"..."},
		why: "sample files need no code"},
	{dir: "deploy", tests: []string{"registry/definition"},
		why: "it has no code, and its tests put its files to the built binary"},
	{dir: "bench",
		why: "it compares processes, and asks ours as it asks the others'"},
	{dir: "cmd/cli",
		imports: []string{"registry", "registry/...", "raftstore", "agent", "client", "httpserver/api", "internal/node"},
		tests:   []string{"..."},
		why:     "the command line is for every program that is made of Herald and must not bring doors and check kinds that program did not choose"},
	{dir: "cmd/standard", imports: []string{"..."},
		why: "it chooses what Herald comes with"},
	{dir: "cmd/herald", imports: []string{"cmd/cli", "cmd/standard", "registry/plugin"},
		tests: []string{"..."},
		why:   "what it could do itself, a program of one's own could not"},
}

// importDirections checks every import of ours against directions.
func importDirections(t *tree) []violation { return checkDirections(t, directions) }

func checkDirections(t *tree, table []allowance) []violation {
	var bad []violation
	unknown := map[string]bool{}
	for _, f := range t.files {
		i := slices.IndexFunc(table, func(a allowance) bool { return a.dir == f.dir })
		if i < 0 {
			if !unknown[f.dir] {
				unknown[f.dir] = true
				bad = append(bad, violation{f.path, fmt.Sprintf("package %s is not in the table of import directions (internal/archtest/imports.go): "+
					"say there what it may import, and why", f.dir)})
			}
			continue
		}
		a := table[i]
		for _, spec := range f.ast.Imports {
			dir, ours := own(importPath(spec))
			if !ours || a.allows(f, dir) {
				continue
			}
			bad = append(bad, violation{t.at(spec), fmt.Sprintf("%s must not import %s: %s (it may import %s)",
				f.dir, dir, a.why, a.list(f))})
		}
	}
	return bad
}

func (a allowance) allows(f *file, dir string) bool {
	return dir == f.dir && f.test || // an external test of its own package
		slices.ContainsFunc(a.granted(f), func(pattern string) bool { return matches(pattern, dir) })
}

func (a allowance) granted(f *file) []string {
	granted := slices.Clone(a.imports)
	base := f.path[strings.LastIndexByte(f.path, '/')+1:]
	granted = append(granted, a.inFile[base]...)
	if f.test {
		granted = append(granted, a.tests...)
		granted = append(granted, everyTest...)
	}
	return granted
}

func (a allowance) list(f *file) string {
	granted := a.granted(f)
	if len(granted) == 0 {
		return "nothing of ours"
	}
	return strings.Join(granted, ", ")
}

// matches reports whether dir is what a pattern stands for: "..." any, "a/..." what is
// below a, anything else itself.
func matches(pattern, dir string) bool {
	if pattern == "..." {
		return true
	}
	if parent, below := strings.CutSuffix(pattern, "/..."); below {
		return strings.HasPrefix(dir, parent+"/")
	}
	return dir == pattern
}

// home is where a third-party module may be imported.
type home struct {
	module string // its path, which also covers the packages below it
	// dirs are where; their sub-packages count as well.
	dirs []string
	// tests lets any _test.go file import it.
	tests bool
	why   string
}

// homes lists every third-party module that the code imports itself. One that
// is not in it fails: see CONTRIBUTING.md on adding a dependency.
var homes = []home{
	{module: "github.com/hashicorp/raft", dirs: []string{"raftstore"}, why: "how the store is replicated is raftstore's secret"},
	{module: "github.com/hashicorp/raft-wal", dirs: []string{"raftstore"}, why: "how the log is kept is raftstore's secret"},
	{module: "github.com/hashicorp/raft-boltdb/v2", dirs: []string{"raftstore"}, why: "how the log is kept is raftstore's secret"},
	{module: "github.com/hashicorp/go-hclog", dirs: []string{"raftstore"}, why: "it is hashicorp/raft's logger; ours is log/slog"},
	{module: "go.etcd.io/bbolt", dirs: []string{"raftstore"}, why: "how votes are kept is raftstore's secret"},
	{module: "golang.org/x/sys", dirs: []string{"raftstore", "dnsserver"}, why: "how much room a file system has, each system says in its own way; many packages in one system call are of Linux alone"},
	{module: "github.com/gofrs/flock", dirs: []string{"raftstore"}, why: "the data directory and its lock are raftstore's"},
	{module: "github.com/labstack/echo/v4", dirs: []string{"httpserver"}, why: "its support ends, and then one package changes"},
	{module: "github.com/hashicorp/go-bexpr", dirs: []string{"httpserver/filter"}, why: "the language of filters is its parser's, and what they mean is httpserver/filter's own"},
	{module: "golang.org/x/time", dirs: []string{"httpserver"}, why: "only the HTTP door bounds how often a client asks"},
	{module: "github.com/miekg/dns", dirs: []string{"dnsserver"}, why: "it announces its own archiving, and then one package changes"},
	{module: "github.com/dchest/siphash", dirs: []string{"dnsserver/cookie"}, why: "what a cookie is made with is dnsserver/cookie's secret"},
	{module: "google.golang.org/grpc", dirs: []string{"grpcserver", "agent/check", "internal/systemtest/chaos/etcdclient", "internal/systemtest/etcdclients"}, why: "what etcd's clients speak is grpcserver's secret; a check of a gRPC server speaks its health protocol"},
	{module: "go.etcd.io/etcd/api/v3", dirs: []string{"grpcserver", "bench", "internal/systemtest/chaos/etcdclient", "internal/systemtest/etcdclients"}, why: "etcd's messages end at the door, and those others are outside of it"},
	{module: "go.etcd.io/etcd/client/v3", dirs: []string{"bench", "grpcserver", "internal/systemtest/chaos/etcdclient", "internal/systemtest/etcdclients"}, why: "only what plays etcd's users needs etcd's client"},
	{module: "go.uber.org/zap", dirs: []string{"internal/systemtest/chaos/etcdclient", "internal/systemtest/etcdclients"}, why: "it is etcd's client's logger; ours is log/slog"},
	{module: "github.com/grpc-ecosystem/grpc-gateway/v2", dirs: []string{"grpcserver"}, why: "etcd's JSON is grpcserver's secret"},
	{module: "golang.org/x/crypto", dirs: []string{"grpcserver"}, why: "the only passwords are those of etcd's users"},
	{module: "github.com/spf13/cobra", dirs: []string{"cmd/cli"}, why: "only the command line knows its own library"},
	{module: "github.com/spf13/pflag", dirs: []string{"cmd/cli"}, why: "only the command line knows flags"},
	{module: "github.com/spf13/viper", dirs: []string{"cmd/cli"}, why: "only the command line knows where settings come from"},
	{module: "github.com/go-viper/mapstructure/v2", dirs: []string{"cmd/cli"}, why: "only the command line knows where settings come from"},
	{module: "github.com/prometheus/client_golang", dirs: []string{"internal/node"}, why: "packages count through plugin.Metrics"},
	{module: "github.com/tidwall/btree", dirs: []string{"registry/cow"}, why: "registry/cow is its wrapper, so that replacing it changes one file"},
	{module: "google.golang.org/protobuf", dirs: []string{"registry/wire", "grpcserver"}, why: "registry/wire is its wrapper, so that replacing it changes one file; etcd's messages are protobuf, and end at the door"},
	{module: "go.yaml.in/yaml/v3", dirs: []string{"cmd/cli", "configs", "deploy", "httpserver/document"}, why: "only configuration and deployment files are YAML, and documents for those"},
	{module: "github.com/pelletier/go-toml/v2", dirs: []string{"httpserver/document"}, why: "only documents of keys are TOML"},
	{module: "github.com/anishathalye/porcupine", dirs: []string{"internal/systemtest/chaos/check"}, why: "only the judge searches for linearizations"},
	{module: "golang.org/x/net", dirs: []string{"internal/systemtest/chaos/workload", "grpcserver", "agent/check"}, why: "a check sends an HTTP/2 PING, which net/http has no call for; a client must not share the server's understanding of DNS; the etcd door's tests speak HTTP/2 by hand"},
	{module: "go.uber.org/goleak", tests: true, why: "it is for tests"},
	{module: "pgregory.net/rapid", tests: true, why: "it is for tests"},
	{module: "github.com/santhosh-tekuri/jsonschema/v6", tests: true, why: "it is for tests: answers are held against their description"},
}

// thirdPartyHomes checks every third-party import against homes.
func thirdPartyHomes(t *tree) []violation {
	var bad []violation
	for _, f := range t.files {
		for _, spec := range f.ast.Imports {
			p := importPath(spec)
			if _, ours := own(p); ours || standard(p) {
				continue
			}
			i := slices.IndexFunc(homes, func(h home) bool { return under(p, h.module) })
			switch {
			case i < 0:
				bad = append(bad, violation{t.at(spec), fmt.Sprintf("%s has no home: a new dependency is written into internal/archtest/imports.go with a reason", p)})
			case !homes[i].welcomes(f):
				bad = append(bad, violation{t.at(spec), fmt.Sprintf("%s must not import %s: %s (its home is %s)", f.dir, p, homes[i].why, homes[i].where())})
			}
		}
	}
	return bad
}

func (h home) welcomes(f *file) bool {
	return h.tests && f.test || slices.ContainsFunc(h.dirs, func(dir string) bool { return under(f.dir, dir) })
}

func (h home) where() string {
	if h.tests {
		return "_test.go files"
	}
	return strings.Join(h.dirs, ", ")
}
