package deploy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// decode decodes one YAML document into v, and refuses fields that v does not have.
func decode(doc []byte, v any) error {
	d := yaml.NewDecoder(bytes.NewReader(doc))
	d.KnownFields(true)
	return d.Decode(v)
}

// documents splits a file into its YAML documents.
func documents(t *testing.T, file string) [][]byte {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var docs [][]byte
	for d := yaml.NewDecoder(bytes.NewReader(b)); ; {
		var node yaml.Node
		err := d.Decode(&node)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		doc, err := yaml.Marshal(&node)
		if err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		docs = append(docs, doc)
	}
	if len(docs) == 0 {
		t.Fatalf("%s holds no document", file)
	}
	return docs
}

func TestDecodeIsStrict(t *testing.T) {
	var v struct{ Known string }
	if err := decode([]byte("known: x\nunknown: y\n"), &v); err == nil || !strings.Contains(err.Error(), "unknown") {
		t.Errorf("decode: %v, want an error that names the field", err)
	}
}

// sameElements reports what is in one list and not in the other.
func sameElements(what string, got, want []string) error {
	got, want = slices.Sorted(slices.Values(got)), slices.Sorted(slices.Values(want))
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s are %q, want %q", what, got, want)
	}
	return nil
}
