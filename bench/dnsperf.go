package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"strconv"
	"time"
)

// dnsperfSaid is what a run of dnsperf found.
type dnsperfSaid struct {
	completed, lost float64
	wrong           float64 // completed with something else than NOERROR
	answerBytes     float64 // mean
	took            time.Duration
	mean, longest   time.Duration
	cpu             time.Duration // its own
}

// dnsperfClients are how many clients dnsperf has to be at least. With few questions on their way it waits for up to a tenth of a second now
// and then, with the answers there already, and asks a small part of what could be answered.
const dnsperfClients = 64

// dnsperf asks the questions of a file for so long, over and over. So many clients have a question on its way each, over
// as many sockets as clients may have connections. There are no more a second than the settings say.
func dnsperf(ctx context.Context, s *settings, address, questions string, clients int, d time.Duration) (dnsperfSaid, error) {
	ctx, cancel := context.WithTimeout(ctx, d+afterwards)
	defer cancel()
	host, port := splitAddress(address)
	args := []string{"-e", "-s", host, "-p", port, "-d", questions,
		"-q", strconv.Itoa(clients), "-c", strconv.Itoa(min(clients, s.conns)), "-l", strconv.FormatFloat(d.Seconds(), 'f', 3, 64)}
	if s.questions > 0 {
		args = append(args, "-Q", strconv.Itoa(s.questions))
	}
	cmd := exec.CommandContext(ctx, s.dnsperf, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		return dnsperfSaid{}, fmt.Errorf("%s, which -dnsperf names: %w\n%s", s.dnsperf, err, out.Bytes())
	}
	said, err := parseDnsperf(out.String())
	said.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	return said, err
}

var (
	dnsperfFigure = map[string]*regexp.Regexp{
		"queries completed": regexp.MustCompile(`(?m)^\s+Queries completed:\s+(\d+)`),
		"queries lost":      regexp.MustCompile(`(?m)^\s+Queries lost:\s+(\d+)`),
		"size of answers":   regexp.MustCompile(`(?m)^\s+Average packet size:.* response (\d+)`),
		"run time":          regexp.MustCompile(`(?m)^\s+Run time \(s\):\s+([\d.]+)`),
		"mean latency":      regexp.MustCompile(`(?m)^\s+Average Latency \(s\):\s+([\d.]+)`),
		"longest latency":   regexp.MustCompile(`(?m)^\s+Average Latency \(s\):.* max ([\d.]+)`),
	}
	dnsperfGood = regexp.MustCompile(`(?m)^\s+Response codes:.* NOERROR (\d+)`)
)

// parseDnsperf reads what dnsperf 2 prints at its end.
func parseDnsperf(out string) (said dnsperfSaid, err error) {
	figures := map[string]float64{}
	for name, at := range dnsperfFigure {
		m := at.FindStringSubmatch(out)
		if m == nil {
			return said, fmt.Errorf("dnsperf does not say its %s:\n%s", name, out)
		}
		if figures[name], err = strconv.ParseFloat(m[1], 64); err != nil {
			return said, fmt.Errorf("dnsperf's %s: %w", name, err)
		}
	}
	seconds := func(name string) time.Duration {
		return time.Duration(figures[name] * float64(time.Second)).Round(time.Microsecond)
	}
	said = dnsperfSaid{
		completed: figures["queries completed"], lost: figures["queries lost"], answerBytes: figures["size of answers"],
		took: seconds("run time"), mean: seconds("mean latency"), longest: seconds("longest latency"),
	}
	said.wrong = said.completed
	if m := dnsperfGood.FindStringSubmatch(out); m != nil {
		good, _ := strconv.ParseFloat(m[1], 64)
		said.wrong -= good
	}
	if said.completed == 0 || said.took <= 0 {
		return said, fmt.Errorf("no query was answered:\n%s", out)
	}
	return said, nil
}
