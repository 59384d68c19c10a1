package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// report is all that a run found.
type report struct {
	Peers       []reportedPeer `json:"peers"`
	Processors  int            `json:"processors"`
	SyncMicros  float64        `json:"sync_us"`   // median of writing 4 KiB and syncing them
	Arguments   []string       `json:"arguments"` // of the command line
	Begun       time.Time      `json:"begun"`
	Comparisons []comparison   `json:"comparisons"`
}

type reportedPeer struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// newReport finds out what is compared and where.
func newReport(ctx context.Context, s *settings) (*report, error) {
	r := &report{Processors: runtime.NumCPU(), Arguments: s.arguments, Begun: time.Now().UTC()}
	for _, p := range s.peers {
		v, err := p.version(ctx)
		if err != nil {
			return nil, err
		}
		r.Peers = append(r.Peers, reportedPeer{p.name, v})
	}
	sync, err := syncTime(s.dir)
	r.SyncMicros = micros(sync)
	return r, err
}

// version is the first line that a binary says of its version, which some say on standard error.
func (p peer) version(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, p.binary, kinds[p.kind].version)
	var aside bytes.Buffer
	cmd.Stderr = &aside
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w; -%s names another binary", p.binary, err, p.kind)
	}
	if len(bytes.TrimSpace(out)) == 0 {
		out = aside.Bytes()
	}
	line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return line, nil
}

// syncTime is how long the disk below dir takes to keep 4 KiB: nothing durable can be written faster.
func syncTime(dir string) (time.Duration, error) {
	const times, size = 100, 4096
	f, err := os.CreateTemp(dir, "bench-sync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []time.Duration
	for range times {
		begin := time.Now()
		if _, err := f.Write(make([]byte, size)); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
	}
	slices.Sort(took)
	return took[times/2], nil
}

// save writes everything as JSON, unless path is empty.
func (r *report) save(path string) error {
	if path == "" {
		return nil
	}
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, append(b, '\n'), 0o644)
}

// writeHead writes what is compared, and the head of the table.
func (r *report) writeHead(out io.Writer) {
	for _, p := range r.Peers {
		fmt.Fprintf(out, "- %s: %s\n", p.Name, p.Version)
	}
	fmt.Fprintf(out, "- %d processors, shared by the servers and what asks them; 4 KiB are on the disk in %s µs; %s\n",
		r.Processors, number(r.SyncMicros), r.Begun.Format("2006-01-02 15:04 MST"))
	fmt.Fprintf(out, "- `%s`\n", strings.Join(append([]string{"bench"}, r.Arguments...), " "))
	fmt.Fprintf(out, "\nEach cell is the median, and each round's figure in the order they were made. The ratio is of the medians, and of each round, %s.\n\n", r.ratioOf())
	head, line := "| Nodes | Load | Clients | |", "|---|---|---|---|"
	for _, p := range r.Peers {
		head += " " + p.Name + " |"
		line += "---|"
	}
	fmt.Fprintf(out, "%s ratio |\n%s---|\n", head, line)
}

func (r *report) ratioOf() string {
	if len(r.Peers) < 2 {
		return "of which there is none for one peer"
	}
	return r.Peers[0].Name + " to " + r.Peers[1].Name
}

// write writes a comparison as rows of the table. Failures and losses have one only where there are any.
func (c *comparison) write(out io.Writer) {
	where := fmt.Sprintf("| %d | %s | %d |", c.Nodes, c.Work, c.Clients)
	for _, r := range c.Rows {
		if r.exceptional() && r.zero() {
			continue
		}
		line := where + " " + r.Name + ", " + r.Unit + " |"
		for p, values := range r.Rounds {
			line += " " + cell(r.Medians[p], values) + " |"
		}
		fmt.Fprintf(out, "%s %s |\n", line, r.ratioCell())
		where = "| | | |"
	}
	for _, n := range c.Notes {
		fmt.Fprintf(out, "| | | | %s |\n", strings.ReplaceAll(strings.ReplaceAll(n, "\n", " "), "|", `\|`))
	}
}

func (r *row) exceptional() bool { return r.Name == "failed" || r.Name == "lost" }

func (r *row) zero() bool {
	return !slices.ContainsFunc(r.Rounds, func(values []float64) bool {
		return slices.ContainsFunc(values, func(v float64) bool { return v != 0 })
	})
}

func cell(median float64, values []float64) string {
	if len(values) == 1 {
		return number(median)
	}
	var all []string
	for _, v := range values {
		all = append(all, number(v))
	}
	return fmt.Sprintf("**%s** (%s)", number(median), strings.Join(all, "; "))
}

func (r *row) ratioCell() string {
	if r.Ratio == 0 || len(r.Ratios) < 2 {
		return ratio(r.Ratio)
	}
	var all []string
	for _, v := range r.Ratios {
		all = append(all, ratio(v))
	}
	return fmt.Sprintf("%s (%s)", ratio(r.Ratio), strings.Join(all, "; "))
}

func ratio(r float64) string {
	if r == 0 {
		return "–"
	}
	return strconv.FormatFloat(r, 'f', 2, 64)
}

// number writes three figures or more, 0.123, 4.56, 78.9, 12,345, and whole numbers as they are.
func number(v float64) string {
	switch {
	case v < 0:
		return "-" + number(-v)
	case v == math.Trunc(v): // below, with no fraction
	case v < 1:
		return strconv.FormatFloat(v, 'f', 3, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 2, 64)
	case v < 100:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}
