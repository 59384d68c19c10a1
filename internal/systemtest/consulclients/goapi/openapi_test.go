package consulapi

import (
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
)

// TestOpenAPI wants every server to describe the API in a document that is valid OpenAPI 3.1.
func TestOpenAPI(t *testing.T) {
	for server := range strings.SplitSeq(os.Getenv("HERALD_HTTP"), ",") {
		resp, err := http.Get("http://" + server + "/v1/openapi.json")
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s, %v", resp.Status, err)
		}
		document, err := libopenapi.NewDocument(text)
		if err != nil {
			t.Fatal(err)
		}
		v, errs := validator.NewValidator(document)
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		if ok, problems := v.ValidateDocument(); !ok {
			for _, p := range problems {
				t.Errorf("%s: %s", p.Message, p.Reason)
			}
		}
	}
}
