package check

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestCut(t *testing.T) {
	tests := []struct {
		in   string
		max  int
		want string
	}{
		{"", 0, ""},
		{"abc", 3, "abc"},
		{"abcd", 3, "abc"},
		{"aé", 2, "a"}, // not half a letter
		{"é", 1, ""},
		{"a\xffb", 10, "a\uFFFDb"},
	}
	for _, tt := range tests {
		if got := Cut(tt.in, tt.max); got != tt.want {
			t.Errorf("Cut(%q, %d) = %q, want %q", tt.in, tt.max, got, tt.want)
		}
	}
}

// TestTail checks, against all that was written, that the last of it is kept,
// whatever pieces it came in.
func TestTail(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &tail{max: rapid.IntRange(1, 200).Draw(t, "max")}
		var all strings.Builder
		for _, piece := range rapid.SliceOf(rapid.StringMatching(`[a-z]{0,60}`)).Draw(t, "pieces") {
			all.WriteString(piece)
			if n, err := w.Write([]byte(piece)); n != len(piece) || err != nil {
				t.Fatalf("Write = %d, %v", n, err)
			}
		}
		got := w.String()
		if len(got) > w.max {
			t.Fatalf("kept %d bytes, above %d", len(got), w.max)
		}
		if all.Len() <= w.max {
			if got != all.String() {
				t.Fatalf("kept %q of %q", got, all.String())
			}
			return
		}
		note := fmt.Sprintf("(the last of %d bytes)\n", all.Len())
		kept := strings.TrimPrefix(got, note)
		if len(note) < w.max && kept == got {
			t.Fatalf("%q does not say that something is missing", got)
		}
		if !strings.HasSuffix(all.String(), kept) || kept == "" || len(got) < w.max {
			t.Fatalf("kept %q of %q with a limit of %d", kept, all.String(), w.max)
		}
	})
}

func FuzzCut(f *testing.F) {
	f.Add("héllo", 3)
	f.Add("\xff\xfe", 1)
	f.Fuzz(func(t *testing.T, s string, max int) {
		if max < 0 || max > 1<<20 {
			return
		}
		got := Cut(s, max)
		if len(got) > max || !utf8.ValidString(got) {
			t.Fatalf("Cut(%q, %d) = %q", s, max, got)
		}
	})
}
