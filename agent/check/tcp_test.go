package check

import (
	"net"
	"strings"
	"testing"
	"time"

	"herald/registry"
)

func TestTCP(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	d := define(TCP, map[string]any{"address": address})
	status, output := run(t, d, 5*time.Second)
	if want := "TCP connect " + address + ": Success"; status != registry.Passing || output != want {
		t.Errorf("listening: %s %q, want passing %q", status, output, want)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	status, output = run(t, d, 5*time.Second)
	if status != registry.Critical || !strings.Contains(output, "refused") || !strings.Contains(output, address) {
		t.Errorf("closed: %s %q, want critical, and that it was refused", status, output)
	}
}

func TestTCPStopsWithItsContext(t *testing.T) {
	// The context has ended before the connection could be made.
	status, output := run(t, define(TCP, map[string]any{"address": "127.0.0.1:1"}), -time.Second)
	if status != registry.Critical || output == "" {
		t.Errorf("%s %q, want critical and why", status, output)
	}
}
