//go:build e2e

package systemtest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"herald/internal/systemtest/process"
)

// transcripts are conversations that were recorded from etcd and from Consul, with the tool
// that replays them. They lie beside the project where it is developed.
const transcripts = "../../../shared/transcripts"

// differing is a line of the tool's output that begins what it says of a step.
var differing = regexp.MustCompile(`(?m)^(?:[a-z]+/)?([a-z0-9-]+) step (\d+)\b`)

func TestEtcdsConversationsGoAsRecorded(t *testing.T) {
	replay(t, "etcd", "grpcserver", func(p *process.Process) []string { return []string{"--etcd", "http://" + p.Etcd} })
}

func TestConsulsConversationsGoAsRecorded(t *testing.T) {
	replay(t, "consul", "httpserver", func(p *process.Process) []string { return []string{"--http", "http://" + p.HTTP} })
}

func TestConsulsDNSConversationsGoAsRecorded(t *testing.T) {
	replay(t, "dns", "dnsserver", func(p *process.Process) []string { return []string{"--http", "http://" + p.HTTP, "--dns", p.DNS} })
}

// replay replays all conversations of a folder against one server. Where it answers
// otherwise than was recorded, a table in the door's README must say why, step by step, and have no
// row too many.
func replay(t *testing.T, folder, door string, where func(*process.Process) []string) {
	t.Helper()
	t.Parallel()
	files, err := filepath.Glob(filepath.Join(transcripts, folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Skipf("no recorded conversations in %s/%s: nothing to replay", transcripts, folder)
	}
	args := append([]string{filepath.Join(transcripts, "transcript.py")}, where(process.Dev(t))...)
	tool := exec.Command("python3", append(append(args, "replay"), files...)...)
	tool.WaitDelay = 10 * time.Second
	var exit *exec.ExitError
	out, err := tool.CombinedOutput()
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	summary := regexp.MustCompile(`(?m)^(\d+) steps, \d+ as the reference, \d+ otherwise$`).FindStringSubmatch(string(out))
	if summary == nil || summary[1] == "0" {
		t.Fatalf("the tool did not come to an end:\n%s", out)
	}
	t.Logf("%d conversations: %s", len(files), summary[0])

	explained := explainedSteps(t, filepath.Join("..", "..", door, "README.md"))
	reports := differing.FindAllStringSubmatchIndex(string(out), -1)
	for i, at := range reports {
		end := len(out)
		if i+1 < len(reports) {
			end = reports[i+1][0]
		}
		step := stepName(string(out[at[2]:at[3]]), string(out[at[4]:at[5]]))
		if i := slices.Index(explained, step); i >= 0 {
			explained = slices.Delete(explained, i, i+1)
			continue
		}
		t.Errorf("differs from %s, and the README does not say why:\n%s", folder, out[at[0]:end])
	}
	for _, step := range explained {
		t.Errorf("the README explains a difference in %s, and there is none", step)
	}
}

func stepName(conversation, step string) string {
	return fmt.Sprintf("%s step %s", conversation, step)
}

// explainedSteps reads the README's table of steps that differ, if there is one: conversation, steps with commas between
// them, what differs and why.
func explainedSteps(t *testing.T, readme string) []string {
	t.Helper()
	b, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	_, table, found := strings.Cut(string(b), "\n| Conversation | Step | ")
	if !found {
		return nil
	}
	var steps []string
	for i, row := range strings.Split(table, "\n") {
		if i < 2 { // the header's rest, the rule
			continue
		}
		cells := strings.Split(row, "|")
		if len(cells) < 5 {
			return steps
		}
		if strings.TrimSpace(cells[3]) == "" {
			t.Errorf("%s gives no reason in %q", readme, row)
		}
		for step := range strings.SplitSeq(cells[2], ",") {
			steps = append(steps, stepName(strings.Trim(cells[1], " `"), strings.TrimSpace(step)))
		}
	}
	return steps
}
