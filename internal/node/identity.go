package node

import (
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// nodeID is the identity that a node's records in the catalog belong to: a UUID.
// A server's is made from its id in the cluster, an agent's is kept in its data
// directory. Without one it is new each time: what the process before it left
// then has to run out first.
func nodeID(serverID, dataDir string) (string, error) {
	switch {
	case serverID != "":
		return uuidOf(serverID), nil
	case dataDir == "":
		return newUUID(), nil
	}
	file := filepath.Join(dataDir, "node-id")
	b, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		id := newUUID()
		return id, writeNew(file, id+"\n")
	}
	if err != nil {
		return "", fmt.Errorf("node id: %w", err)
	}
	id := strings.TrimSpace(string(b))
	if !isUUID.MatchString(id) {
		return "", fmt.Errorf("node id: %s does not hold a UUID; remove it to have another made", file)
	}
	return id, nil
}

var isUUID = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)

// uuidOf is id, if it is a UUID, or else one that is always the same for it
// (RFC 9562, version 8).
func uuidOf(id string) string {
	if isUUID.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte("herald node " + id))
	return formatUUID([16]byte(sum[:16]), 8)
}

// newUUID is random (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails
	return formatUUID(b, 4)
}

func formatUUID(b [16]byte, version byte) string {
	b[6] = b[6]&0x0f | version<<4
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// writeNew writes a file that a crash leaves either whole or absent.
func writeNew(file, content string) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return fmt.Errorf("node id: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".node-id-")
	if err != nil {
		return fmt.Errorf("node id: %w", err)
	}
	defer os.Remove(f.Name()) // nothing is left of that name once it is renamed
	_, err = f.WriteString(content)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return fmt.Errorf("node id: %w", err)
	}
	return nil
}
