//go:build unix

package process

import (
	"io"
	"net/http"
	"strings"
	"testing"
)

// Put sends a body to a URL and returns what is answered, whatever the status. That nobody answers, or
// not to the end, fails the test.
func Put(t *testing.T, url, body string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("PUT %s: %s: %v", url, res.Status, err)
	}
	return res.StatusCode, string(b)
}
