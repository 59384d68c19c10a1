package cli

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/archive"
	"herald/registry/mvcc"
	"herald/registry/storetest"
)

// archived is a small archive.
func archived(t *testing.T) []byte {
	t.Helper()
	s := storetest.NewMemory(t)
	for _, key := range []string{"a", "b"} {
		if _, err := registry.Put(t.Context(), s, registry.PutRequest{Key: key, Value: []byte("v")}); err != nil {
			t.Fatal(err)
		}
	}
	b, err := s.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	state, err := mvcc.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if _, err := archive.Write(&out, state.View(), registry.SnapshotInfo{
		Version: "1.2.3", ClusterID: "c1", NodeID: "n1", Created: time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC), Term: 2,
	}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// vault answers with a snapshot, and takes one.
type vault struct {
	saved    []byte
	restored []byte
	query    string
	revision int64
}

func vaultOf(t *testing.T, saved []byte) (*vault, string) {
	v := &vault{saved: saved, revision: 5}
	s := httptest.NewServer(v)
	t.Cleanup(s.Close)
	return v, s.URL
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.URL.Path == "/v1/members":
		_ = json.NewEncoder(w).Encode(api.Members{Status: registry.Status{Revisions: registry.Revisions{v.revision}}})
	case r.Method == http.MethodGet:
		v.query = r.URL.RawQuery
		_, _ = w.Write(v.saved)
	default:
		v.restored, _ = io.ReadAll(r.Body)
		v.revision++
		info, _ := archive.Inspect(bytes.NewReader(v.restored))
		_ = json.NewEncoder(w).Encode(info)
	}
}

func TestSnapshotSaveInspectRestore(t *testing.T) {
	whole := archived(t)
	v, url := vaultOf(t, whole)
	dir := t.TempDir()
	file := filepath.Join(dir, "backup")
	stdout, stderr, status := run("snapshot", "save", file, "--server", url)
	if status != 0 || !strings.Contains(stdout, "2 keys, 0 leases") || v.query != "" {
		t.Fatalf("save: %d %s %s", status, stdout, stderr)
	}
	if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, whole) {
		t.Errorf("the file has %d bytes, %v", len(got), err)
	}
	if _, stderr, status := run("snapshot", "save", file, "--stale", "--server", url); status != 0 || v.query != "stale=" {
		t.Errorf("save --stale: %d %s, asked with %q", status, stderr, v.query)
	}
	if all, _ := os.ReadDir(dir); len(all) != 1 {
		t.Errorf("left behind: %v", all)
	}

	stdout, stderr, status = run("snapshot", "inspect", file)
	for _, want := range []string{"2026-11-22T12:00:00Z", "herald 1.2.3, server n1 of cluster c1", "2, term 2", "revision 3, 2 keys", "sha256"} {
		if status != 0 || !strings.Contains(stdout, want) {
			t.Errorf("inspect: %d %s, want %q in\n%s", status, stderr, want, stdout)
		}
	}
	var info registry.SnapshotInfo
	stdout, _, _ = run("snapshot", "inspect", file, "-o", "json")
	if err := json.Unmarshal([]byte(stdout), &info); err != nil || info.Keys["kv"] != 2 || info.Index != 2 {
		t.Errorf("%v: %s", err, stdout)
	}

	stdout, stderr, status = run("snapshot", "restore", file, "--yes", "--server", url)
	if status != 0 || !bytes.Equal(v.restored, whole) || !strings.Contains(strings.Join(strings.Fields(stdout), " "), "kv 5 6 2") {
		t.Errorf("restore: %d %s\n%s", status, stderr, stdout)
	}
	var result restored
	stdout, _, _ = run("snapshot", "restore", file, "--yes", "-o", "json", "--server", url)
	if err := json.Unmarshal([]byte(stdout), &result); err != nil || result.Before[0] != 6 || result.After[0] != 7 || result.Snapshot.ClusterID != "c1" {
		t.Errorf("%v: %s", err, stdout)
	}
}

// A name is given to a whole archive only, and what had it before is kept until then.
func TestSnapshotThatIsNotWholeGetsNoName(t *testing.T) {
	whole := archived(t)
	flipped := bytes.Clone(whole)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{
		"cut short": whole[:len(whole)-1], "damaged": flipped, "empty": nil, "another thing": []byte("<html>a proxy's page</html>"),
		"with more behind it": append(bytes.Clone(whole), 'x'),
	} {
		t.Run(name, func(t *testing.T) {
			_, url := vaultOf(t, b)
			dir := t.TempDir()
			file := filepath.Join(dir, "backup")
			if err := os.WriteFile(file, []byte("before"), 0o600); err != nil {
				t.Fatal(err)
			}
			_, stderr, status := run("snapshot", "save", file, "--server", url)
			if status != 1 || stderr == "" {
				t.Errorf("status %d, %s", status, stderr)
			}
			all, _ := os.ReadDir(dir)
			if got, err := os.ReadFile(file); err != nil || string(got) != "before" || len(all) != 1 {
				t.Errorf("the file has %q, beside it %v: %v", got, all, err)
			}
			bad := filepath.Join(dir, "bad")
			if err := os.WriteFile(bad, b, 0o600); err != nil {
				t.Fatal(err)
			}
			if _, stderr, status := run("snapshot", "inspect", bad); status != 1 || !strings.Contains(stderr, bad) {
				t.Errorf("inspect: %d %s", status, stderr)
			}
			v, url := vaultOf(t, nil)
			if _, stderr, status := run("snapshot", "restore", bad, "--yes", "--server", url); status != 1 || !strings.Contains(stderr, bad) || v.restored != nil {
				t.Errorf("restore: %d %s", status, stderr)
			}
		})
	}
}

// Nothing is replaced unless somebody has said so.
func TestRestoreAsksFirst(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, archived(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for answer, want := range map[string]bool{"yes\n": true, "yes": true, "y\n": false, "\n": false, "": false} {
		v, url := vaultOf(t, nil)
		var out, errs bytes.Buffer
		root := (&program{plugins: withTestDoor(), out: &out, err: &errs}).root()
		root.SetArgs([]string{"snapshot", "restore", file, "--server", url})
		root.SetIn(strings.NewReader(answer))
		err := root.Execute()
		if (err == nil) != want || (v.restored != nil) != want {
			t.Errorf("%q: %v, restored %d bytes", answer, err, len(v.restored))
		}
		if !strings.Contains(errs.String(), "2 keys") || !strings.Contains(errs.String(), url) {
			t.Errorf("asked %q", errs.String())
		}
	}
}

// A script has nobody to ask.
func TestRestoreWithoutATerminal(t *testing.T) {
	file := filepath.Join(t.TempDir(), "backup")
	if err := os.WriteFile(file, archived(t), 0o600); err != nil {
		t.Fatal(err)
	}
	v, url := vaultOf(t, nil)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	root := (&program{plugins: withTestDoor(), out: io.Discard, err: io.Discard}).root()
	root.SetArgs([]string{"snapshot", "restore", file, "--server", url})
	root.SetIn(r)
	if err := root.Execute(); err == nil || !strings.Contains(err.Error(), "--yes") || v.restored != nil {
		t.Error(err)
	}
}

func TestRetriesAreToldOnce(t *testing.T) {
	var out bytes.Buffer
	told := retries{to: &out}
	for _, err := range []error{io.EOF, io.EOF, io.ErrClosedPipe, nil, io.ErrClosedPipe, io.ErrClosedPipe} {
		told.tell(err)
	}
	if n := strings.Count(out.String(), "trying again"); n != 3 {
		t.Errorf("told %d times:\n%s", n, out.String())
	}
}
