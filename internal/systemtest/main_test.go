//go:build e2e

package systemtest

import (
	"os"
	"testing"

	"herald/internal/systemtest/process"
)

func TestMain(m *testing.M) { os.Exit(process.Main(m, "dig", "curl", "python3", "etcdctl")) }
