//go:build e2e

package etcdclients

import (
	"os"
	"testing"

	"herald/internal/systemtest/process"
)

func TestMain(m *testing.M) { os.Exit(process.Main(m, "etcdctl", "curl", "node", "npm")) }
