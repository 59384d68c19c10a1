package document

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf16"
)

// The names of an environment: segments joined by two underscores, which none may have
// in itself or at an end, or the way back would not be clear.
const envJoin = "__"

var (
	envSegment = regexp.MustCompile(`^[A-Za-z0-9]+(_[A-Za-z0-9]+)*$`)
	envName    = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)
	envPlain   = regexp.MustCompile(`^[A-Za-z0-9_./:@%+,=-]+$`)
)

// renderEnv makes lines that a POSIX shell reads as what they say.
func renderEnv(tree map[string]any) ([]byte, error) {
	var b bytes.Buffer
	err := flatten(tree, nil, func(path []string, value string) error {
		name := strings.Join(path, envJoin)
		for _, s := range path {
			if !envSegment.MatchString(s) || !envName.MatchString(name) {
				return fmt.Errorf("%w: key %q has no name in an environment: want letters, digits and single underscores, and no digit first", ErrDocument, strings.Join(path, "/"))
			}
		}
		if strings.Contains(value, "\x00") {
			return fmt.Errorf("%w: the value of key %q has a NUL, which an environment cannot", ErrDocument, strings.Join(path, "/"))
		}
		if !envPlain.MatchString(value) {
			value = "'" + strings.ReplaceAll(value, "'", `'\''`) + "'"
		}
		b.WriteString(name + "=" + value + "\n")
		return nil
	})
	return b.Bytes(), err
}

// parseEnv reads assignments as a POSIX shell does, without what a shell would put in
// place of something else: that is refused.
func parseEnv(b []byte, k *keys) error {
	rest := string(b)
	for {
		rest = strings.TrimLeft(rest, " \t\r\n")
		if rest == "" {
			return nil
		}
		if rest[0] == '#' {
			_, rest, _ = strings.Cut(rest, "\n")
			continue
		}
		rest = strings.TrimPrefix(rest, "export ")
		name, after, ok := strings.Cut(rest, "=")
		if !ok || !envName.MatchString(name) {
			return fmt.Errorf("%w: want NAME=value, have %.40q", ErrDocument, rest)
		}
		value, after, err := envValue(after)
		if err != nil {
			return fmt.Errorf("%w: %s: %w", ErrDocument, name, err)
		}
		rest = after
		var path []string
		for _, s := range strings.Split(name, envJoin) {
			if path, err = below(path, s); err != nil {
				return err
			}
		}
		if err := k.set(path, value); err != nil {
			return err
		}
	}
}

// envValue reads a word of a shell; rest begins behind it.
func envValue(s string) (value, rest string, err error) {
	var b strings.Builder
	quote := byte(0)
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case quote == '\'' && c != '\'', quote == '"' && c != '"' && c != '\\' && c != '$' && c != '`':
			b.WriteByte(c)
		case c == quote:
			quote = 0
		case quote == 0 && (c == '\'' || c == '"'):
			quote = c
		case c == '\\' && i+1 < len(s) && (quote == 0 && s[i+1] != '\n' || strings.IndexByte("\\\"$`", s[i+1]) >= 0):
			i++
			b.WriteByte(s[i])
		case c == '\\' && quote == '"':
			b.WriteByte(c)
		case quote == 0 && (c == ' ' || c == '\t' || c == '\r' || c == '\n'):
			line, after, _ := strings.Cut(s[i:], "\n")
			if line = strings.TrimSpace(line); line != "" && line[0] != '#' {
				return "", "", fmt.Errorf("quote a value with spaces in it")
			}
			return b.String(), after, nil
		case strings.IndexByte("\\$`;&|<>()", c) >= 0:
			return "", "", fmt.Errorf("%q means something else to a shell: put the value into single quotes", c)
		default:
			b.WriteByte(c)
		}
	}
	if quote != 0 {
		return "", "", fmt.Errorf("a quote is not closed")
	}
	return b.String(), "", nil
}

// renderProperties makes lines as java.util.Properties reads them, in ASCII.
func renderProperties(tree map[string]any) ([]byte, error) {
	var b bytes.Buffer
	err := flatten(tree, nil, func(path []string, value string) error {
		for _, s := range path {
			if strings.Contains(s, ".") {
				return fmt.Errorf("%w: key %q has a dot, which is nesting in properties", ErrDocument, strings.Join(path, "/"))
			}
		}
		escapeProperty(&b, strings.Join(path, "."), true)
		b.WriteByte('=')
		escapeProperty(&b, value, false)
		b.WriteByte('\n')
		return nil
	})
	return b.Bytes(), err
}

func escapeProperty(b *bytes.Buffer, s string, name bool) {
	for i, r := range s {
		switch {
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\\', r == ' ' && (name || i == 0), name && strings.ContainsRune("=:#!", r):
			b.WriteByte('\\')
			b.WriteRune(r)
		case r < ' ' || r > '~':
			for _, u := range utf16.Encode([]rune{r}) {
				fmt.Fprintf(b, `\u%04x`, u)
			}
		default:
			b.WriteRune(r)
		}
	}
}

func parseProperties(b []byte, k *keys) error {
	text := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(string(b))
	for text != "" {
		var line string
		line, text, _ = strings.Cut(text, "\n")
		line = strings.TrimLeft(line, " \t\f")
		if line == "" || line[0] == '#' || line[0] == '!' {
			continue
		}
		if goesOn(line) {
			// In a builder: a line may go on for very many.
			var whole strings.Builder
			for goesOn(line) && text != "" {
				whole.WriteString(line[:len(line)-1])
				line, text, _ = strings.Cut(text, "\n")
				line = strings.TrimLeft(line, " \t\f")
			}
			whole.WriteString(line)
			line = whole.String()
		}
		end := 0
		for end < len(line) && !strings.ContainsRune("=: \t\f", rune(line[end])) {
			if line[end] == '\\' {
				end++
			}
			end++
		}
		end = min(end, len(line))
		name, err := unescapeProperty(line[:end])
		if err != nil {
			return err
		}
		rest := strings.TrimLeft(line[end:], " \t\f")
		if rest != "" && (rest[0] == '=' || rest[0] == ':') {
			rest = strings.TrimLeft(rest[1:], " \t\f")
		}
		value, err := unescapeProperty(rest)
		if err != nil {
			return err
		}
		var path []string
		for _, s := range strings.Split(name, ".") {
			if path, err = below(path, s); err != nil {
				return err
			}
		}
		if err := k.set(path, value); err != nil {
			return err
		}
	}
	return nil
}

// goesOn says that a line ends in a backslash that is not escaped itself.
func goesOn(line string) bool {
	return (len(line)-len(strings.TrimRight(line, `\`)))%2 == 1
}

func unescapeProperty(s string) (string, error) {
	if !strings.Contains(s, `\`) {
		return s, nil
	}
	var units []uint16
	var b strings.Builder
	flush := func() {
		b.WriteString(string(utf16.Decode(units)))
		units = units[:0]
	}
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			flush()
			if s[i] != '\\' {
				b.WriteByte(s[i])
			}
			continue
		}
		i++
		if s[i] == 'u' {
			n, err := strconv.ParseUint(s[min(i+1, len(s)):min(i+5, len(s))], 16, 16)
			if err != nil || i+5 > len(s) {
				return "", fmt.Errorf("%w: \\u needs four hexadecimal digits, in %.40q", ErrDocument, s)
			}
			units = append(units, uint16(n))
			i += 4
			continue
		}
		flush()
		if at := strings.IndexByte("tnrf", s[i]); at >= 0 {
			b.WriteByte("\t\n\r\f"[at])
		} else {
			b.WriteByte(s[i])
		}
	}
	flush()
	return b.String(), nil
}
