package check

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"herald/registry"
)

// DefaultOutputMaxSize is how many bytes of output a check keeps unless its
// definition says otherwise.
const DefaultOutputMaxSize = 4096

func outputLimit(d registry.CheckDefinition) (int, error) {
	switch {
	case d.OutputMaxSize < 0:
		return 0, fmt.Errorf("%w: %s check: output_max_size must be at least 1, not %d", registry.ErrInvalidDefinition, d.Kind, d.OutputMaxSize)
	case d.OutputMaxSize == 0:
		return DefaultOutputMaxSize, nil
	default:
		return d.OutputMaxSize, nil
	}
}

// tail keeps the last max bytes written to it. What a command says last is
// mostly why it failed.
type tail struct {
	max   int
	buf   []byte
	total int64
}

func (t *tail) Write(p []byte) (int, error) {
	t.total += int64(len(p))
	if len(p) >= t.max {
		t.buf = append(t.buf[:0], p[len(p)-t.max:]...)
		return len(p), nil
	}
	if over := len(t.buf) + len(p) - t.max; over > 0 {
		t.buf = append(t.buf[:0], t.buf[over:]...)
	}
	t.buf = append(t.buf, p...)
	return len(p), nil
}

// String is what was kept, as valid UTF-8 and at most max bytes, under a line that
// says how much was left out, if any was and there is room to say so.
func (t *tail) String() string {
	kept := t.buf
	note := ""
	if t.total > int64(len(t.buf)) {
		note = fmt.Sprintf("(the last of %d bytes)\n", t.total)
		if len(note) >= t.max {
			note = ""
		}
		kept = kept[min(len(note), len(kept)):]
	}
	return Cut(note+string(kept), t.max)
}

// Cut makes output fit to be kept: valid UTF-8, since it travels in JSON, and at
// most max bytes.
func Cut(output string, max int) string {
	output = strings.ToValidUTF8(output, "\uFFFD")
	if len(output) <= max {
		return output
	}
	for max > 0 && !utf8.RuneStart(output[max]) {
		max--
	}
	return output[:max]
}
