package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// tick is the unit of the kernel's processor times: Linux tells user programs of a hundred a second,
// whatever it counts in itself.
const tick = 10 * time.Millisecond

// sample is what the machine had done at one moment. Two of them are a measurement.
type sample struct {
	at        time.Time
	servers   time.Duration // processor time of a cluster's servers, summed
	generator time.Duration // of this process
	machine   time.Duration // of everything, what a hypervisor took away included
	resident  int64         // bytes of memory of the servers, summed
}

// takeSample samples the processes of a cluster, with those that they have started.
func takeSample(pids []int) (sample, error) {
	pids, err := families(pids)
	if err != nil {
		return sample{}, err
	}
	s := sample{at: time.Now()}
	for _, pid := range pids {
		p, err := readProcess(strconv.Itoa(pid))
		if err != nil {
			return s, err
		}
		s.servers += p.cpu
		s.resident += p.resident
	}
	self, err := readProcess("self")
	if err != nil {
		return s, err
	}
	s.generator = self.cpu
	all, err := os.ReadFile("/proc/stat")
	if err != nil {
		return s, err
	}
	s.machine, err = parseMachine(all)
	return s, err
}

// processUse is what one process has used.
type processUse struct {
	cpu      time.Duration
	resident int64 // bytes
	parent   int   // the process that started it
	ended    bool  // it has, and its parent has not taken note of that
}

func readProcess(pid string) (processUse, error) {
	stat, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		return processUse{}, fmt.Errorf("a process that is measured is gone, or this is not Linux: %w", err)
	}
	return parseProcess(stat)
}

// parseProcess reads /proc/PID/stat, which is proc_pid_stat(5)'s fields. The second is the program's name in
// parentheses, and may itself have spaces and parentheses in it; the others are counted from its end.
func parseProcess(stat []byte) (processUse, error) {
	const ppid, utime, stime, rss = 4 - 3, 14 - 3, 15 - 3, 24 - 3
	end := bytes.LastIndexByte(stat, ')')
	if end < 0 {
		return processUse{}, errors.New("the state of a process names no program")
	}
	fields := strings.Fields(string(stat[end+1:]))
	if len(fields) <= rss {
		return processUse{}, fmt.Errorf("the state of a process has %d fields after its name, too few", len(fields))
	}
	cpu, err := ticks(fields[utime], fields[stime])
	if err != nil {
		return processUse{}, err
	}
	pages, err := strconv.ParseInt(fields[rss], 10, 64)
	if err != nil {
		return processUse{}, fmt.Errorf("the memory of a process: %w", err)
	}
	parent, err := strconv.Atoi(fields[ppid])
	if err != nil {
		return processUse{}, fmt.Errorf("the parent of a process: %w", err)
	}
	return processUse{cpu: cpu, resident: pages * int64(os.Getpagesize()), parent: parent, ended: fields[0] == "Z" || fields[0] == "X"}, nil
}

// parseMachine reads the time that all processors were busy from /proc/stat, proc_stat(5): its first line
// has user, nice, system, idle, iowait, irq, softirq and steal. What follows counts guests, who are in user already.
func parseMachine(stat []byte) (time.Duration, error) {
	line, _, _ := strings.Cut(string(stat), "\n")
	f := strings.Fields(line)
	if len(f) < 9 || f[0] != "cpu" {
		return 0, fmt.Errorf("the state of the processors begins with %q", line)
	}
	return ticks(f[1], f[2], f[3], f[6], f[7], f[8])
}

// ticks adds up processor times.
func ticks(fields ...string) (time.Duration, error) {
	var sum time.Duration
	for _, f := range fields {
		n, err := strconv.ParseInt(f, 10, 48)
		if err != nil || n < 0 {
			return 0, fmt.Errorf("a processor time is %q", f)
		}
		sum += time.Duration(n) * tick
	}
	return sum, nil
}

// figures are what the machine did from one sample to another, in which the servers answered so many operations.
func (before sample) figures(after sample, ops float64, op string) []figure {
	wall := after.at.Sub(before.at)
	servers, generator := after.servers-before.servers, after.generator-before.generator
	elsewhere := max(after.machine-before.machine-servers-generator, 0)
	perOp := 0.0
	if ops > 0 {
		perOp = micros(servers) / ops
	}
	return []figure{
		{"server CPU a " + op, "µs", perOp},
		{"server CPU", "cores", cores(servers, wall)},
		{"generator CPU", "cores", cores(generator, wall)},
		{"CPU elsewhere", "cores", cores(elsewhere, wall)},
		{"server memory", "MB", megabytes(after.resident)},
	}
}

func cores(used, wall time.Duration) float64 {
	if wall <= 0 {
		return 0
	}
	return used.Seconds() / wall.Seconds()
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func megabytes(n int64) float64 { return float64(n) / 1e6 }
