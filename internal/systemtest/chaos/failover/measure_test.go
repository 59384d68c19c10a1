package main

import (
	"errors"
	"testing"
	"time"
)

func TestGapIsTheLongestTimeWithoutAnAcknowledgement(t *testing.T) {
	kill := time.Now()
	at := func(ms int) time.Time { return kill.Add(time.Duration(ms) * time.Millisecond) }
	for _, tc := range []struct {
		what   string
		acks   []int
		errors []int
		until  int
		want   int
	}{
		{"nothing is acknowledged any more", nil, []int{100, 200}, 900, 900},
		{"an answer that was on its way, then silence", []int{5, 1205, 1210}, []int{300}, 1500, 1200},
		{"silence after it was well for a while", []int{5, 200, 210, 1000, 1010}, nil, 1020, 790},
		{"silence at the end", []int{5, 10}, nil, 700, 690},
	} {
		var a acks
		a.note(at(-500), nil)
		a.since(kill)
		for _, ms := range tc.acks {
			a.note(at(ms), nil)
		}
		for _, ms := range tc.errors {
			a.note(at(ms), errors.New("refused"))
		}
		gap, n, errs := a.until(at(tc.until))
		if gap != time.Duration(tc.want)*time.Millisecond || n != len(tc.acks) || errs != len(tc.errors) {
			t.Errorf("%s: %v, %d acknowledged, %d errors; want %dms, %d, %d", tc.what, gap, n, errs, tc.want, len(tc.acks), len(tc.errors))
		}
	}
}

func TestQuantile(t *testing.T) {
	var gaps []time.Duration
	for i := 50; i > 0; i-- {
		gaps = append(gaps, time.Duration(i)*time.Second)
	}
	for percent, want := range map[int]time.Duration{0: time.Second, 50: 25 * time.Second, 99: 50 * time.Second, 98: 49 * time.Second, 100: 50 * time.Second} {
		if got := quantile(gaps, percent); got != want {
			t.Errorf("of 1 to 50 s, %d%% is %v, want %v", percent, got, want)
		}
	}
	if got := quantile(gaps[:1], 50); got != 50*time.Second {
		t.Errorf("of one: %v", got)
	}
}
