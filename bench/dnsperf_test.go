package main

import (
	"strings"
	"testing"
	"time"
)

const dnsperfOut = `DNS Performance Testing Tool
Version 2.10.0

[Status] Testing complete (time limit)

Statistics:

  Queries sent:         48397
  Queries completed:    48395 (100.00%)
  Queries lost:         2 (0.00%)

  Response codes:       NOERROR 32264 (66.67%), NXDOMAIN 16131 (33.33%)
  Average packet size:  request 45, response 370
  Run time (s):         0.500104
  Queries per second:   96769.871867

  Average Latency (s):  0.000103 (min 0.000010, max 0.007373)
  Latency StdDev (s):   0.000213
`

func TestParseDnsperf(t *testing.T) {
	said, err := parseDnsperf(dnsperfOut)
	want := dnsperfSaid{
		completed: 48395, lost: 2, wrong: 16131, answerBytes: 370,
		took: 500104 * time.Microsecond, mean: 103 * time.Microsecond, longest: 7373 * time.Microsecond,
	}
	if err != nil || said != want {
		t.Errorf("%+v, %v, want %+v", said, err, want)
	}
	refused := strings.Replace(dnsperfOut, "NOERROR 32264 (66.67%), NXDOMAIN 16131 (33.33%)", "REFUSED 48395 (100.00%)", 1)
	if said, err := parseDnsperf(refused); err != nil || said.wrong != 48395 {
		t.Errorf("%v of the refused queries are wrong, %v", said.wrong, err)
	}
	second := strings.Replace(dnsperfOut, "NOERROR 32264 (66.67%), NXDOMAIN 16131 (33.33%)", "SERVFAIL 1 (0.00%), NOERROR 48394 (100.00%)", 1)
	if said, err := parseDnsperf(second); err != nil || said.wrong != 1 {
		t.Errorf("%v queries are wrong, not 1, %v", said.wrong, err)
	}
}

func TestParseDnsperfFails(t *testing.T) {
	for name, out := range map[string]string{
		"nothing":                  "",
		"no connection":            "Error: connect: Network is unreachable\n",
		"no answer":                strings.Replace(dnsperfOut, "completed:    48395", "completed:    0", 1),
		"no time":                  strings.Replace(dnsperfOut, "0.500104", "0.000000", 1),
		"a time that is none":      strings.Replace(dnsperfOut, "0.500104", "0.5.1", 1),
		"no latency, as of no one": strings.Replace(dnsperfOut, "Average Latency (s):  0.000103", "Average Latency (s):  -", 1),
	} {
		if said, err := parseDnsperf(out); err == nil {
			t.Errorf("%s is taken for %+v", name, said)
		}
	}
}
