package main

import (
	"os"
	"strings"
	"testing"
	"time"
)

const afterName = " S 1 2 3 4 -1 5 6 7 8 9 1234 66 10 11 20 0 16 0 99999 1500000000 2500 18446744073709551615 1 1"

func TestParseProcess(t *testing.T) {
	want := processUse{cpu: 13 * time.Second, resident: 2500 * int64(os.Getpagesize()), parent: 1}
	tests := []struct {
		name, stat string
		fails      bool
	}{
		{name: "a plain name", stat: "42 (etcd)" + afterName},
		{name: "a name that looks like fields", stat: "42 (a) R 1 (b) )" + afterName},
		{name: "a name that its process gave itself", stat: "42 (nsd: server 1)" + afterName},
		{name: "no name", stat: "42 etcd" + afterName, fails: true},
		{name: "too short", stat: "42 (etcd) S 1 2 3", fails: true},
		{name: "a time that is none", stat: "42 (etcd)" + strings.Replace(afterName, "1234", "x", 1), fails: true},
		{name: "a negative time", stat: "42 (etcd)" + strings.Replace(afterName, "1234", "-1", 1), fails: true},
		{name: "memory that is none", stat: "42 (etcd)" + strings.Replace(afterName, "2500 ", "x ", 1), fails: true},
		{name: "a parent that is none", stat: "42 (etcd)" + strings.Replace(afterName, "S 1", "S x", 1), fails: true},
		{name: "empty", fails: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseProcess([]byte(tt.stat))
			if (err != nil) != tt.fails {
				t.Fatalf("error %v, want one: %v", err, tt.fails)
			}
			if err == nil && got != want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

func TestParseMachine(t *testing.T) {
	// user 100, nice 20, system 30, idle 9999, iowait 8888, irq 1, softirq 2, steal 47, guests 77.
	got, err := parseMachine([]byte("cpu  100 20 30 9999 8888 1 2 47 77 0\ncpu0 1 2 3\n"))
	if want := 2 * time.Second; err != nil || got != want {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "cpu 1 2 3", "intr 1 2 3 4 5 6 7 8 9 10", "cpu a b c d e f g h i j"} {
		if got, err := parseMachine([]byte(bad)); err == nil {
			t.Errorf("%q is %v", bad, got)
		}
	}
}

func TestSampleFigures(t *testing.T) {
	at := time.Unix(1, 0)
	before := sample{at: at, servers: 1 * time.Second, generator: 5 * time.Second, machine: 10 * time.Second, resident: 1}
	after := sample{at: at.Add(2 * time.Second), servers: 3 * time.Second, generator: 6 * time.Second, machine: 14 * time.Second, resident: 7e6}
	got := before.figures(after, 1000, "put")
	want := []figure{
		{"server CPU a put", "µs", 2000},
		{"server CPU", "cores", 1},
		{"generator CPU", "cores", 0.5},
		{"CPU elsewhere", "cores", 0.5},
		{"server memory", "MB", 7},
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("got %v, want %v", got[i], want[i])
		}
	}
	if got := before.figures(after, 0, "put"); got[0].Value != 0 {
		t.Errorf("no operations took %v each", got[0].Value)
	}
}

func FuzzParseProc(f *testing.F) {
	f.Add([]byte("42 (etcd)" + afterName))
	f.Add([]byte("cpu  100 20 30 9999 8888 1 2 47 77 0\ncpu0 1 2 3\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if p, err := parseProcess(b); err == nil && p.cpu < 0 {
			t.Errorf("a process used %v", p.cpu)
		}
		if d, err := parseMachine(b); err == nil && d < 0 {
			t.Errorf("the machine was busy for %v", d)
		}
	})
}
