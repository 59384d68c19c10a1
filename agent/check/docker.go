package check

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"herald/registry"
)

// Docker is the kind that runs a command in a container.
const Docker = "docker"

const (
	// dockerHostVariable says where Docker's daemon listens, as for the docker command.
	dockerHostVariable = "DOCKER_HOST"
	dockerHost         = "unix:///var/run/docker.sock"
	// dockerAnswer bounds what is read of an answer that is not the command's output.
	dockerAnswer = 64 << 10
)

// NewDocker makes a check that runs a command in a container, by the API of Docker's daemon, which listens where DOCKER_HOST says
// (unix://path or tcp://host:port), else at /var/run/docker.sock. Exit status 0 is passing, 1 warning, anything else, or a container that is not there,
// critical. What the command printed is the output, as with NewExec.
//
// Spec: container, its id or name; args, the program and its arguments, or shell, a command line for the program that shell_path names, /bin/sh
// if it does not. When time is up the check ends; the command goes on, since Docker has no way to end it.
func NewDocker(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, Docker)
	c := &dockerCheck{container: s.string("container"), args: s.strings("args")}
	line, program := s.string("shell"), s.string("shell_path")
	switch {
	case c.container == "":
		s.fail("container", "is missing")
	case len(c.args) > 0 && line != "":
		s.fail("shell", "cannot be given beside args")
	case line != "":
		if program == "" {
			program = "/bin/sh"
		}
		c.args = []string{program, "-c", line}
	case len(c.args) == 0 || c.args[0] == "":
		s.fail("args", "is missing")
	}
	var err error
	if c.limit, err = outputLimit(d); err != nil {
		return nil, err
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type dockerCheck struct {
	container string
	args      []string
	limit     int
}

func (c *dockerCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	daemon, err := newDockerDaemon()
	if err != nil {
		return registry.Critical, err.Error()
	}
	defer daemon.close()
	out := &tail{max: c.limit}
	code, err := c.run(ctx, daemon, out)
	switch {
	case err != nil:
		return registry.Critical, Cut(fmt.Sprintf("container %s: %v: %s", c.container, err, out), c.limit)
	case code == 0:
		return registry.Passing, out.String()
	case code == 1:
		return registry.Warning, out.String()
	}
	return registry.Critical, Cut(fmt.Sprintf("exit status %d: %s", code, out), c.limit)
}

// run runs the command, and returns its exit status.
func (c *dockerCheck) run(ctx context.Context, d *dockerDaemon, out io.Writer) (int, error) {
	var made struct {
		ID string `json:"Id"`
	}
	err := d.ask(ctx, http.MethodPost, "/containers/"+url.PathEscape(c.container)+"/exec",
		map[string]any{"AttachStdout": true, "AttachStderr": true, "Cmd": c.args}, &made)
	if err != nil {
		return 0, err
	}
	res, err := d.do(ctx, http.MethodPost, "/exec/"+url.PathEscape(made.ID)+"/start", map[string]any{"Detach": false, "Tty": false})
	if err != nil {
		return 0, err
	}
	err = copyDockerOutput(out, res.Body)
	res.Body.Close()
	if err != nil {
		return 0, fmt.Errorf("its output: %w", err)
	}
	var ended struct {
		ExitCode *int
		Running  bool
	}
	if err := d.ask(ctx, http.MethodGet, "/exec/"+url.PathEscape(made.ID)+"/json", nil, &ended); err != nil {
		return 0, err
	}
	if ended.ExitCode == nil || ended.Running {
		return 0, errors.New("the command has closed its output and still runs")
	}
	return *ended.ExitCode, nil
}

// copyDockerOutput takes what a command prints out of the frames that it comes in: which of its outputs, three zeros, the length in
// big-endian, and so many bytes.
func copyDockerOutput(out io.Writer, frames io.Reader) error {
	var head [8]byte
	for {
		switch _, err := io.ReadFull(frames, head[:]); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		}
		if _, err := io.CopyN(out, frames, int64(binary.BigEndian.Uint32(head[4:]))); err != nil {
			return err
		}
	}
}

// dockerDaemon is Docker's daemon, as one check asks it.
type dockerDaemon struct {
	client *http.Client
	base   string
}

func newDockerDaemon() (*dockerDaemon, error) {
	host := os.Getenv(dockerHostVariable)
	if host == "" {
		host = dockerHost
	}
	network, address, ok := strings.Cut(host, "://")
	if !ok || address == "" || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("%s is %q: Docker's daemon is asked at unix://path or tcp://host:port", dockerHostVariable, host)
	}
	var dialer net.Dialer
	return &dockerDaemon{base: "http://docker", client: &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address)
		},
	}}}, nil
}

func (d *dockerDaemon) close() { d.client.CloseIdleConnections() }

// do makes a request, of which the answer is a good one; its body is the caller's to close.
func (d *dockerDaemon) do(ctx context.Context, method, path string, body any) (*http.Response, error) {
	var sent io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		sent = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, sent)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := d.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("the Docker daemon: %w", err)
	}
	if res.StatusCode/100 == 2 {
		return res, nil
	}
	defer res.Body.Close()
	said, _ := io.ReadAll(io.LimitReader(res.Body, dockerAnswer))
	var refused struct{ Message string }
	if json.Unmarshal(said, &refused) != nil || refused.Message == "" {
		refused.Message = string(bytes.TrimSpace(said))
	}
	return nil, fmt.Errorf("the Docker daemon: %s: %s", res.Status, refused.Message)
}

// ask makes a request whose answer is a document.
func (d *dockerDaemon) ask(ctx context.Context, method, path string, body, answer any) error {
	res, err := d.do(ctx, method, path, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, dockerAnswer)).Decode(answer); err != nil {
		return fmt.Errorf("the Docker daemon: its answer: %w", err)
	}
	return nil
}
