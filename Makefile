# What CI runs, one target for each rule, so that a failure names its rule.
# "make check" is all of them, in CI's order. "make help" lists them.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)

# The one binary: static, without paths of the machine that built it.
BIN     := bin/herald
LDFLAGS := -s -w -X herald/cmd/cli.version=$(VERSION)

# Where it must compile, beside where it is built.
PLATFORMS := linux/arm64 darwin/arm64 windows/amd64

# The modules of the tree beside its own: what other people's would look like, and
# clients whose dependencies are not ours.
MODULES := examples/plugin internal/systemtest/consulclients/goapi internal/systemtest/consulclients/promsd internal/systemtest/etcdclients/viperremote

# How many inputs each fuzz target tries in fuzz-smoke: a count rather than a time, so
# that a slow machine tries as many.
FUZZ_INPUTS ?= 20000

# How long each benchmark runs, and which.
BENCHTIME ?= 1s
BENCH     ?= .

RULES := test build vet fmt lint mod proto-fresh arch race cross fuzz-smoke e2e deploy-check chaos-short chaos-bugs

# The etcd that e2e-etcd asks.
ETCD ?= /usr/bin/etcd

# What bench-etcd and bench-dns are told; "go run ./bench -help" lists it all.
BENCH_ETCD ?=
BENCH_DNS  ?=

.PHONY: help check rules $(RULES) static e2e-etcd bench bench-etcd bench-smoke bench-dns bench-dns-smoke proto clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "%-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

check: $(RULES) ## every rule below that CI runs

rules: # their names, for .ci/run
	@echo $(RULES)

test: ## all tests, as the README has them
	$(GO) test ./...

build: static ## every package, and the static binary
	$(GO) build ./...

static: ## bin/herald, and proof that it needs no shared library
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "$(LDFLAGS)" -o $(BIN) ./cmd/herald
	.ci/is-static $(BIN)

vet: ## go vet, the end-to-end tests included
	$(GO) vet ./...
	$(GO) vet -tags "e2e lab" ./internal/systemtest/...
	$(GO) vet -tags "chaos bug_stale_read bug_lost_write bug_lease_early bug_lock_twice bug_watch_drop bug_session_twice bug_lock_delay bug_txn_blind bug_wake_late bug_health_sleep" ./raftstore ./registry/mvcc ./registry/watch ./registry/session ./registry/catalog ./httpserver
	$(GO) vet -tags bug_watch_dup ./registry/watch
	@for m in $(MODULES); do echo "$$m"; (cd $$m && $(GO) vet ./...) || exit 1; done

fmt: ## gofmt has nothing to change
	@changed=$$(gofmt -l .) || exit 1; \
	if [ -n "$$changed" ]; then echo "gofmt would change:"; echo "$$changed"; exit 1; fi

lint: ## staticcheck, at the version go.mod pins; the chosen checks are in staticcheck.conf
	$(GO) tool staticcheck ./...
	$(GO) tool staticcheck -tags e2e,lab ./internal/systemtest/...
	$(GO) tool staticcheck -tags chaos ./raftstore
	@tool=$$($(GO) tool -n staticcheck) || exit 1; \
	for m in $(MODULES); do echo "$$m"; (cd $$m && "$$tool" ./...) || exit 1; done

mod: ## go.mod and go.sum say exactly what is used, and the modules are what they were
	$(GO) mod tidy -diff
	$(GO) mod verify
	@for m in $(MODULES); do echo "$$m"; (cd $$m && $(GO) mod tidy -diff) || exit 1; done

proto-fresh: ## the generated files are what their .proto files say
	GO=$(GO) .ci/proto-fresh

arch: ## the house rules: import directions, third-party homes, package comments, …
	$(GO) test ./internal/archtest

race: ## all tests under the race detector
	CGO_ENABLED=1 $(GO) test -race ./...
	CGO_ENABLED=1 $(GO) test -race -tags chaos -run 'Clock|Jumped' ./raftstore

cross: ## it compiles and links for the other platforms
	@for p in $(PLATFORMS); do \
		echo "$$p"; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) build -o /dev/null ./cmd/herald || exit 1; \
		CGO_ENABLED=0 GOOS=$${p%/*} GOARCH=$${p#*/} $(GO) vet ./... || exit 1; \
	done

fuzz-smoke: ## every fuzz target, for a short while
	GO=$(GO) .ci/fuzz-smoke $(FUZZ_INPUTS)

e2e: static ## the built binary, driven with the real dig and curl
	HERALD_BIN=$(abspath $(BIN)) $(GO) test -count=1 -tags e2e ./internal/systemtest/...

e2e-etcd: ## what the tests of etcd's clients expect of Herald is true of etcd; ETCD=path
	HERALD_TEST_ETCD=$(ETCD) $(GO) test -count=1 -tags e2e ./internal/systemtest/etcdclients

deploy-check: static ## the deployment files, against the built binary and systemd's own tools
	HERALD_BIN=$(abspath $(BIN)) $(GO) test -count=1 ./deploy/...
	.ci/deploy-check $(BIN)

chaos-short: ## three servers under every kind of fault, and every promise kept; as root
	$(GO) test -count=1 -tags lab ./internal/systemtest/chaos/lab
	$(GO) run ./internal/systemtest/chaos -short

chaos-bugs: ## bugs planted on purpose, each of which the same checks must find; as root
	$(GO) run ./internal/systemtest/chaos -bugs

bench: ## benchmarks; BENCH=regexp BENCHTIME=5s
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchtime $(BENCHTIME) -benchmem ./...

bench-etcd: static ## Herald beside etcd, which must be installed; BENCH_ETCD="-nodes 1 -work put"
	$(GO) run ./bench -herald $(BIN) $(BENCH_ETCD)

bench-smoke: static ## that the comparison with etcd works: every load for a second, its figures mean nothing
	$(GO) run ./bench -herald $(BIN) -seconds 1 -rounds 1 -clients 1,64 -warm 200ms -watchers 1000 -rate 200 $(BENCH_ETCD)

bench-dns: static ## Herald's DNS beside NSD; nsd and dnsperf must be installed; BENCH_DNS="-dns-instances 1000000"
	$(GO) run ./bench -herald $(BIN) -peers herald,nsd -nodes 1 -clients 64,512 $(BENCH_DNS)

bench-dns-smoke: static ## that the comparison with NSD works: each load for a second, its figures mean nothing
	$(GO) run ./bench -herald $(BIN) -peers herald,nsd -nodes 1 -seconds 1 -rounds 1 -clients 64 -warm 200ms -dns-instances 1000 $(BENCH_DNS)

proto: ## the Go files of grpcserver's .proto files; needs protoc
	GO=$(GO) .ci/proto .

clean: ## what make built
	rm -rf bin
