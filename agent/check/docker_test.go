package check

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"herald/registry"
)

// daemon stands for Docker's, with one container, c1, in which a command prints its name and ends with the status that is its
// last argument.
type daemon struct {
	mu   sync.Mutex
	ran  [][]string
	slow chan struct{} // closed when a command that takes for ever may end
}

func newDaemon(t *testing.T) *daemon {
	t.Helper()
	d := &daemon{slow: make(chan struct{})}
	dir, err := os.MkdirTemp("", "docker") // t.TempDir may be too long for a socket's name
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(dir, "s")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /containers/{id}/exec", d.create)
	mux.HandleFunc("POST /exec/{id}/start", d.start)
	mux.HandleFunc("GET /exec/{id}/json", d.inspect)
	server := &http.Server{Handler: mux}
	var serving sync.WaitGroup
	serving.Go(func() { _ = server.Serve(l) })
	t.Cleanup(func() {
		close(d.slow)
		server.Close()
		serving.Wait()
		os.RemoveAll(dir)
	})
	t.Setenv(dockerHostVariable, "unix://"+socket)
	return d
}

func (d *daemon) create(w http.ResponseWriter, r *http.Request) {
	var body struct {
		AttachStdout, AttachStderr bool
		Cmd                        []string
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil || !body.AttachStdout || !body.AttachStderr {
		http.Error(w, "bad request", http.StatusBadRequest)
		return
	}
	if id := r.PathValue("id"); id != "c1" {
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprintf(w, `{"message":"No such container: %s"}`, id)
		return
	}
	d.mu.Lock()
	d.ran = append(d.ran, body.Cmd)
	n := len(d.ran) - 1
	d.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"Id":"%d"}`, n)
}

func (d *daemon) command(r *http.Request) []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var n int
	fmt.Sscan(r.PathValue("id"), &n)
	return d.ran[n]
}

func (d *daemon) start(w http.ResponseWriter, r *http.Request) {
	cmd := d.command(r)
	frame := func(stream byte, text string) {
		head := []byte{stream, 0, 0, 0, 0, 0, 0, 0}
		binary.BigEndian.PutUint32(head[4:], uint32(len(text)))
		w.Write(append(head, text...))
	}
	frame(1, cmd[0]+" ")
	frame(2, "says so")
	w.(http.Flusher).Flush()
	if cmd[0] == "forever" {
		select {
		case <-d.slow:
		case <-r.Context().Done():
		}
	}
	if cmd[0] == "torn" {
		w.Write([]byte{1, 0, 0, 0, 0, 0, 9, 9, 'x'})
	}
}

func (d *daemon) inspect(w http.ResponseWriter, r *http.Request) {
	cmd := d.command(r)
	fmt.Fprintf(w, `{"ExitCode":%s,"Running":false}`, cmd[len(cmd)-1])
}

func dockerDefinition(spec map[string]any) registry.CheckDefinition {
	return registry.CheckDefinition{ID: "c", Kind: Docker, Interval: time.Second, Spec: spec}
}

func TestDocker(t *testing.T) {
	d := newDaemon(t)
	for _, test := range []struct {
		container string
		spec      map[string]any
		ran       []string
		status    registry.HealthStatus
		output    string
	}{
		{"c1", map[string]any{"args": []string{"true", "0"}}, []string{"true", "0"}, registry.Passing, "true says so"},
		{"c1", map[string]any{"args": []any{"almost", "1"}}, []string{"almost", "1"}, registry.Warning, "almost says so"},
		{"c1", map[string]any{"args": []string{"false", "2"}}, []string{"false", "2"}, registry.Critical, "exit status 2: false says so"},
		{"c1", map[string]any{"shell": "0"}, []string{"/bin/sh", "-c", "0"}, registry.Passing, "/bin/sh says so"},
		{"c1", map[string]any{"shell": "0", "shell_path": "/bin/bash"}, []string{"/bin/bash", "-c", "0"}, registry.Passing, "/bin/bash says so"},
		{"gone", map[string]any{"args": []string{"true"}}, nil, registry.Critical, "container gone: the Docker daemon: 404 Not Found: No such container: gone: "},
		{"c1", map[string]any{"args": []string{"torn", "0"}}, []string{"torn", "0"}, registry.Critical, "container c1: its output: EOF: torn says sox"},
	} {
		test.spec["container"] = test.container
		before := len(d.ran)
		c, err := NewDocker(dockerDefinition(test.spec))
		if err != nil {
			t.Errorf("%v: %v", test.spec, err)
			continue
		}
		status, output := c.Check(t.Context())
		if status != test.status || output != test.output {
			t.Errorf("%v: %s %q, want %s %q", test.spec, status, output, test.status, test.output)
		}
		if ran := d.ran[before:]; len(ran) > 0 != (test.ran != nil) || len(ran) > 0 && !slices.Equal(ran[0], test.ran) {
			t.Errorf("%v: ran %q", test.spec, ran)
		}
	}
}

// TestDockerTakesTooLong: a command that does not end makes the check critical when its time is up.
func TestDockerTakesTooLong(t *testing.T) {
	newDaemon(t)
	c, err := NewDocker(dockerDefinition(map[string]any{"container": "c1", "args": []string{"forever", "0"}}))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if status, output := c.Check(ctx); status != registry.Critical || !strings.Contains(output, "deadline exceeded") {
		t.Errorf("%s %q", status, output)
	}
}

func TestDockerWithoutDaemon(t *testing.T) {
	c, err := NewDocker(dockerDefinition(map[string]any{"container": "c1", "args": []string{"true"}}))
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]string{
		"unix:///nonexistent/docker.sock": "no such file",
		"npipe:////./pipe/docker_engine":  "DOCKER_HOST is \"npipe:////./pipe/docker_engine\"",
	} {
		t.Setenv(dockerHostVariable, host)
		if status, output := c.Check(t.Context()); status != registry.Critical || !strings.Contains(output, want) {
			t.Errorf("%s: %s %q", host, status, output)
		}
	}
}

func TestDockerDefinitions(t *testing.T) {
	for want, spec := range map[string]map[string]any{
		"container is missing":            {"args": []string{"x"}},
		"args is missing":                 {"container": "c"},
		"shell cannot be given beside":    {"container": "c", "args": []string{"x"}, "shell": "x"},
		"unknown field \"image\"":         {"container": "c", "args": []string{"x"}, "image": "y"},
		"container must be a string, not": {"container": 5, "args": []string{"x"}},
	} {
		if _, err := NewDocker(dockerDefinition(spec)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want %q", spec, err, want)
		}
	}
}
