package node

import (
	"os"
	"path/filepath"
	"testing"
)

func TestNodeID(t *testing.T) {
	const uuid = "0d2f5f0e-3c1e-4b7a-9a53-0a6f5e5c1d2b"
	if id, err := nodeID(uuid, ""); err != nil || id != uuid {
		t.Errorf("a server with a UUID: %q, %v", id, err)
	}
	one, _ := nodeID("n1", "")
	again, _ := nodeID("n1", "")
	other, _ := nodeID("n2", "")
	if one != again || one == other || !isUUID.MatchString(one) {
		t.Errorf("servers with ids of their own: %q, %q, %q", one, again, other)
	}

	dir := filepath.Join(t.TempDir(), "new")
	kept, err := nodeID("", dir)
	if err != nil || !isUUID.MatchString(kept) {
		t.Fatalf("an agent: %q, %v", kept, err)
	}
	if id, err := nodeID("", dir); err != nil || id != kept {
		t.Errorf("the agent after a restart: %q, %v, want %q", id, err, kept)
	}
	if id, err := nodeID("", ""); err != nil || id == kept || !isUUID.MatchString(id) {
		t.Errorf("an agent that keeps nothing: %q, %v", id, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "node-id"), []byte("garbage"), 0o600); err != nil {
		t.Fatal(err)
	}
	if id, err := nodeID("", dir); err == nil {
		t.Errorf("a damaged file gave %q", id)
	}
}
