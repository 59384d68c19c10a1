package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

// settings are what is compared, and how.
type settings struct {
	peers   []peer
	works   []work
	dir     string // where the servers' data is, below directories of their own
	wrk     string // wrk's binary
	dnsperf string // dnsperf's
	json    string // file for the figures; none if empty

	arguments []string // of the command line

	nodes   []int
	clients []int
	conns   int // most connections of a round
	streams int // most watch streams of a round
	rounds  int
	warm    time.Duration
	window  time.Duration // of measuring, in each round

	keys   int
	value  int           // bytes
	writes int           // of a hundred requests of the mixed work
	settle time.Duration // after a catalog was filled
	ahead  int           // most writes that watchers have not seen all of

	dnsCatalog dnsCatalog // what the DNS loads ask for
	changes    int        // of it, a second, in dns-churn
	questions  int        // a second at most; as many as are answered if 0
}

// peer is a system under comparison.
type peer struct {
	kind   string // of kinds
	name   string // its own in the table
	binary string
}

// work is a kind of load.
type work interface {
	name() string
	door() door
	// sizes are the numbers of clients, or of watchers, that it is done with.
	sizes(*settings) []int
	// prepare readies a cluster that has just been started.
	prepare(ctx context.Context, c *cluster, s *settings) error
	// round loads a cluster once. All rounds have the same figures.
	round(ctx context.Context, c *cluster, s *settings, size int) (result, error)
}

// parse reads the command line. What is wrong with it is in the error.
func parse(args []string, out io.Writer) (*settings, error) {
	s := &settings{arguments: args}
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(out)
	peers := f.String("peers", "herald,etcd", "what to compare, of herald, etcd, consul and nsd; one of them twice shows how much two runs of the same differ")
	works := f.String("work", "", "loads, of those listed below; all that the peers can be asked for if empty")
	nodes := f.String("nodes", "1,3", "sizes of the clusters")
	clients := f.String("clients", "1,64,512", "numbers of clients that ask at once")
	herald := f.String("herald", "bin/herald", "herald's binary")
	etcd := f.String("etcd", "etcd", "etcd's binary")
	consul := f.String("consul", "consul", "consul's binary")
	nsd := f.String("nsd", "/usr/sbin/nsd", "nsd's binary")
	f.StringVar(&s.wrk, "wrk", "wrk", "wrk's binary, which makes the loads named http-")
	f.StringVar(&s.dnsperf, "dnsperf", "dnsperf", "dnsperf's binary, which makes the loads named dns")
	f.StringVar(&s.dir, "dir", "", "directory on the disk that the servers write to; the system's for temporary files if empty")
	f.StringVar(&s.json, "json", "", "file to write the figures of all rounds to, as JSON")
	f.IntVar(&s.conns, "conns", 16, "most connections that the clients share")
	f.IntVar(&s.streams, "streams", 16, "most streams that the watchers share")
	f.IntVar(&s.rounds, "rounds", 3, "rounds of each load; the peers take turns")
	f.DurationVar(&s.warm, "warm", time.Second, "how long a round runs before it is measured")
	seconds := f.Float64("seconds", 5, "how long a round is measured")
	f.IntVar(&s.keys, "keys", 10000, "keys that are put and read")
	f.IntVar(&s.value, "value", 256, "bytes of a value")
	f.IntVar(&s.writes, "writes", 10, "puts in a hundred requests of the mixed load")
	f.DurationVar(&s.settle, "settle", 0, "how long after filling a catalog its memory is looked at again")
	f.IntVar(&s.ahead, "ahead", 100, "most writes that not all watchers have seen; further ones wait")
	f.IntVar((*int)(&s.dnsCatalog), "dns-instances", 10000, "instances that the DNS loads ask for, in services of 10")
	f.IntVar(&s.changes, "dns-changes", 1000, "changes of the catalog a second in dns-churn, of peers that have an HTTP API")
	f.IntVar(&s.questions, "dns-rate", 0, "most questions a second of the DNS loads; as many as are answered if 0")
	watchers := f.Int("watchers", 10000, "watchers of fanout-prefix and fanout-keys")
	rate := f.Int("rate", 1000, "writes a second of fanout-prefix and fanout-keys")
	watchRate := f.Int("watch-rate", 20, "writes a second of watch, which has 1000 watchers")
	f.Usage = func() {
		fmt.Fprintf(out, "bench compares Herald with etcd, Consul or NSD: both run side by side and are asked in turn.\n\nFlags:\n")
		f.PrintDefaults()
		fmt.Fprintf(out, "\nLoads:\n")
		for _, w := range s.allWorks(1, 1, 1) {
			fmt.Fprintf(out, "  %s\n", w.name())
		}
	}
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	s.window = time.Duration(*seconds * float64(time.Second))
	binaries := map[string]string{"herald": *herald, "etcd": *etcd, "consul": *consul, "nsd": *nsd}
	var errs [4]error
	s.peers, errs[0] = parsePeers(*peers, binaries)
	s.works, errs[1] = parseWorks(*works, s.allWorks(*watchers, *rate, *watchRate), s.peers)
	s.nodes, errs[2] = parseSizes("nodes", *nodes)
	s.clients, errs[3] = parseSizes("clients", *clients)
	if f.NArg() > 0 {
		return nil, fmt.Errorf("%q is not a flag", f.Arg(0))
	}
	return s, errors.Join(errors.Join(errs[:]...), s.validate(*watchers, *rate, *watchRate))
}

// allWorks are the loads there are, in the order they are done.
func (s *settings) allWorks(watchers, rate, watchRate int) []work {
	return []work{
		closedWork{label: "put", asker: puts(s)},
		closedWork{label: "range", asker: ranges(s), preloads: true},
		closedWork{label: "serializable", asker: ranges(s, clientv3.WithSerializable()), preloads: true},
		closedWork{label: "mixed", asker: mixed(s), preloads: true},
		closedWork{label: "keepalive", asker: keepalives},
		watchWork{label: "watch", watchers: 1000, rate: watchRate},
		watchWork{label: "fanout-prefix", watchers: watchers, rate: rate},
		watchWork{label: "fanout-keys", watchers: watchers, rate: rate, ownKey: true},
		wrkWork{label: "http-health", fill: fillServices},
		wrkWork{label: "http-get", fill: fillKeys},
		wrkWork{label: "http-put"},
		wrkWork{label: "http-register"},
		fillWork{label: "http-fill", services: 1000, instances: 10},
		fillWork{label: "http-fill-million", services: 1000, instances: 1000},
		dnsWork{label: "dns"},
		dnsWork{label: "dns-churn", churns: true},
	}
}

// parsePeers reads the names of systems.
func parsePeers(list string, binaries map[string]string) ([]peer, error) {
	var all []peer
	times := map[string]int{}
	for kind := range strings.SplitSeq(list, ",") {
		if _, known := kinds[kind]; !known {
			return nil, fmt.Errorf("-peers: %q is none of %s", kind, strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
		}
		name := kind
		if times[kind]++; times[kind] > 1 {
			name = fmt.Sprintf("%s (%d)", kind, times[kind])
		}
		all = append(all, peer{kind: kind, name: name, binary: binaries[kind]})
	}
	return all, nil
}

// serves reports whether every peer can be asked through a door.
func serves(peers []peer, d door) bool {
	return !slices.ContainsFunc(peers, func(p peer) bool { return !slices.Contains(kinds[p.kind].doors, d) })
}

// parseWorks picks loads by their names, in the order given. Each is one that every peer can be asked for.
func parseWorks(list string, all []work, peers []peer) ([]work, error) {
	var picked []work
	if list == "" {
		for _, w := range all {
			if serves(peers, w.door()) {
				picked = append(picked, w)
			}
		}
		return picked, nil
	}
	for name := range strings.SplitSeq(list, ",") {
		i := slices.IndexFunc(all, func(w work) bool { return w.name() == name })
		if i < 0 {
			return nil, fmt.Errorf("-work: there is no load %q; -help lists them", name)
		}
		if !serves(peers, all[i].door()) {
			return nil, fmt.Errorf("-work: %s is asked through the %s API, which not all of the peers have", name, all[i].door())
		}
		picked = append(picked, all[i])
	}
	return picked, nil
}

// parseSizes reads positive numbers.
func parseSizes(flag, list string) ([]int, error) {
	var all []int
	for text := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-%s: %q is not a number above 0", flag, text)
		}
		all = append(all, n)
	}
	return all, nil
}

// validate says which numbers make no sense.
func (s *settings) validate(watchers, rate, watchRate int) error {
	var errs []error
	for _, at := range []struct {
		flag  string
		value int
	}{
		{"conns", s.conns}, {"streams", s.streams}, {"rounds", s.rounds}, {"keys", s.keys}, {"value", s.value},
		{"ahead", s.ahead}, {"watchers", watchers}, {"rate", rate}, {"watch-rate", watchRate},
		{"dns-changes", s.changes},
	} {
		if at.value < 1 {
			errs = append(errs, fmt.Errorf("-%s is at least 1, not %d", at.flag, at.value))
		}
	}
	if s.writes < 0 || s.writes > 100 {
		errs = append(errs, fmt.Errorf("-writes is of a hundred, not %d", s.writes))
	}
	if n := int(s.dnsCatalog); n < dnsInstances || n%dnsInstances != 0 || n >= 1<<24-1 {
		errs = append(errs, fmt.Errorf("-dns-instances is a multiple of %d below 2^24, not %d", dnsInstances, n))
	}
	if s.questions < 0 {
		errs = append(errs, fmt.Errorf("-dns-rate is 0 or more, not %d", s.questions))
	}
	if s.warm < 0 || s.window < 100*time.Millisecond {
		errs = append(errs, fmt.Errorf("-warm %v and -seconds %v: a round is measured for 0.1 seconds at least", s.warm, s.window.Seconds()))
	}
	return errors.Join(errs...)
}
