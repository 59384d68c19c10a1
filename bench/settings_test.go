package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	s, err := parse(strings.Fields("-peers etcd,herald,etcd -herald h -etcd e -nodes 1,5 -clients 2,3 -work mixed,put -seconds 0.5 -rounds 4"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if want := []peer{{"etcd", "etcd", "e"}, {"herald", "herald", "h"}, {"etcd", "etcd (2)", "e"}}; !slices.Equal(s.peers, want) {
		t.Errorf("peers %v, want %v", s.peers, want)
	}
	if !slices.Equal(s.nodes, []int{1, 5}) || !slices.Equal(s.clients, []int{2, 3}) || s.window != 500*time.Millisecond || s.rounds != 4 {
		t.Errorf("nodes %v, clients %v, %v in %d rounds", s.nodes, s.clients, s.window, s.rounds)
	}
	if len(s.works) != 2 || s.works[0].name() != "mixed" || s.works[1].name() != "put" {
		t.Errorf("works %v", s.works)
	}
}

func TestParseDefaultsAreSound(t *testing.T) {
	s, err := parse(nil, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, w := range s.works {
		if seen[w.name()] || len(w.sizes(s)) == 0 {
			t.Errorf("load %q is there twice, or has no size", w.name())
		}
		seen[w.name()] = true
	}
	if len(s.works) != 8 || len(s.peers) != 2 {
		t.Errorf("%d loads, %d peers", len(s.works), len(s.peers))
	}
}

// Beside NSD, Herald is asked what both answer.
func TestParseWorksOfPeers(t *testing.T) {
	s, err := parse(strings.Fields("-peers herald,nsd -nsd n -dnsperf d -dns-instances 1000"), io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.works) != 2 || s.works[0].name() != "dns" || s.works[1].name() != "dns-churn" {
		t.Errorf("works %v", s.works)
	}
	if s.peers[1] != (peer{"nsd", "nsd", "n"}) || s.dnsperf != "d" || s.dnsCatalog != 1000 {
		t.Errorf("peers %v, dnsperf %s, %d instances", s.peers, s.dnsperf, s.dnsCatalog)
	}
}

func TestParseSaysWhatIsWrong(t *testing.T) {
	for args, want := range map[string]string{
		"-peers zookeeper":               `"zookeeper" is none of consul, etcd, herald`,
		"-peers herald,consul -work put": "put is asked through the etcd API, which not all of the peers have",
		"-work http-get":                 "http-get is asked through the HTTP API",
		"-peers herald,":                 `"" is none of`,
		"-work put,fly":                  `no load "fly"`,
		"-nodes 0":                       `-nodes: "0"`,
		"-clients 1,x":                   `-clients: "x"`,
		"-rounds 0":                      "-rounds is at least 1, not 0",
		"-watchers -1":                   "-watchers is at least 1, not -1",
		"-writes 101":                    "-writes is of a hundred, not 101",
		"-work dns":                      "dns is asked through the DNS API",
		"-dns-instances 15":              "a multiple of 10 below 2^24, not 15",
		"-dns-instances 0":               "a multiple of 10 below 2^24, not 0",
		"-dns-instances 16777220":        "a multiple of 10 below 2^24",
		"-dns-changes 0":                 "-dns-changes is at least 1, not 0",
		"-dns-rate -1":                   "-dns-rate is 0 or more, not -1",
		"-seconds 0":                     "0.1 seconds at least",
		"-warm -1s":                      "-warm -1s",
		"-peers etcd surplus":            `"surplus" is not a flag`,
		"-nodes 0 -keys 0 -conns 0":      "-keys is at least 1",
	} {
		_, err := parse(strings.Fields(args), io.Discard)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", args, err, want)
		}
	}
}
