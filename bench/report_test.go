package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func sampleReport() (*report, *comparison) {
	c := comparison{Nodes: 3, Work: "put", Clients: 64, Notes: []string{"etcd, round 2: 3 requests failed: a|b\nc"}}
	c.Rows = compare([][][]figure{
		{{{"throughput", "ops/s", 30000}, {"failed", "requests", 0}, {"lost", "deliveries", 0}},
			{{"throughput", "ops/s", 12345}, {"failed", "requests", 0}, {"lost", "deliveries", 0}},
			{{"throughput", "ops/s", 20000}, {"failed", "requests", 0}, {"lost", "deliveries", 0}}},
		{{{"throughput", "ops/s", 9000}, {"failed", "requests", 0}, {"lost", "deliveries", 0}},
			{{"throughput", "ops/s", 11000}, {"failed", "requests", 3}, {"lost", "deliveries", 0}},
			{{"throughput", "ops/s", 10000}, {"failed", "requests", 0}, {"lost", "deliveries", 0}}},
	})
	return &report{
		Peers: []reportedPeer{{"herald", "herald 1"}, {"etcd", "etcd 3.4"}}, Processors: 2, SyncMicros: 150, Arguments: []string{"-nodes", "3"},
		Begun: time.Date(2026, 11, 23, 2, 0, 0, 0, time.UTC), Comparisons: []comparison{c},
	}, &c
}

func TestTable(t *testing.T) {
	r, c := sampleReport()
	var b strings.Builder
	r.writeHead(&b)
	c.write(&b)
	const want = `- herald: herald 1
- etcd: etcd 3.4
- 2 processors, shared by the servers and what asks them; 4 KiB are on the disk in 150 µs; 2026-11-23 02:00 UTC
- ` + "`bench -nodes 3`" + `

Each cell is the median, and each round's figure in the order they were made. The ratio is of the medians, and of each round, herald to etcd.

| Nodes | Load | Clients | | herald | etcd | ratio |
|---|---|---|---|---|---|---|
| 3 | put | 64 | throughput, ops/s | **20,000** (30,000; 12,345; 20,000) | **10,000** (9,000; 11,000; 10,000) | 2.00 (3.33; 1.12; 2.00) |
| | | | failed, requests | **0** (0; 0; 0) | **0** (0; 3; 0) | – |
| | | | etcd, round 2: 3 requests failed: a\|b c |
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestJSONHasEveryRound(t *testing.T) {
	r, _ := sampleReport()
	path := filepath.Join(t.TempDir(), "figures.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var back report
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	got := back.Comparisons[0].Rows[0]
	if !slices.Equal(got.Rounds[0], []float64{30000, 12345, 20000}) || !slices.Equal(got.Rounds[1], []float64{9000, 11000, 10000}) || got.Ratio != 2 || len(got.Ratios) != 3 || got.Ratios[2] != 2 {
		t.Errorf("got %+v", got)
	}
	if err := r.save(""); err != nil {
		t.Errorf("a run without a file: %v", err)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0}, {[]float64{3}, 3}, {[]float64{9, 1}, 5}, {[]float64{9, 1, 2}, 2}, {[]float64{4, 1, 3, 2}, 2.5},
	} {
		given := slices.Clone(tt.values)
		if got := median(tt.values); got != tt.want {
			t.Errorf("median of %v is %v, want %v", tt.values, got, tt.want)
		}
		if !slices.Equal(given, tt.values) {
			t.Errorf("%v became %v: the order of rounds is lost", given, tt.values)
		}
	}
}

func TestNumber(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", 0.0123: "0.012", 1: "1", 9.994: "9.99", 10: "10", 99.94: "99.9", 100: "100", 999.4: "999", 1000: "1,000", 1234567: "1,234,567", -42: "-42", 10.04: "10.0", -0.5: "-0.500",
	} {
		if got := number(v); got != want {
			t.Errorf("%v is written %s, want %s", v, got, want)
		}
	}
}
