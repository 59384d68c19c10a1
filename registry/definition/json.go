package definition

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// maxDepth bounds how deep values may nest: deeper than any definition, and
// shallow enough to recurse.
const maxDepth = 64

// input is JSON text that is being read into values that know where they stand.
type input struct {
	name string // of the file, if it is one
	text []byte
	at   int
}

// value is a JSON value.
type value struct {
	at      int  // offset of its first byte
	kind    byte // '{', '[', '"', '0' for a number, 't' for true and false, 'n' for null
	text    string
	yes     bool
	list    []*value
	members []member
}

type member struct {
	name string
	at   int
	v    *value
}

func (v *value) what() string {
	switch v.kind {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a string"
	case '0':
		return "a number"
	case 't':
		return "true or false"
	default:
		return "null"
	}
}

// parse reads the one JSON value that text is.
func parse(name string, text []byte) (*input, *value, error) {
	in := &input{name: name, text: text}
	// The decoder says exactly what is wrong and where; what follows may then count
	// on text being valid.
	var raw json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		var syntax *json.SyntaxError
		if !errors.As(err, &syntax) {
			return in, nil, in.undecodable(0, "%v", err)
		}
		at := int(syntax.Offset)
		if at > 0 && at <= len(text) && syntax.Error() != "unexpected end of JSON input" {
			at-- // the offset is after the offending byte
		}
		return in, nil, in.undecodable(at, "%v", syntax)
	}
	v, err := in.value(0)
	return in, v, err
}

// position turns an offset into a line and a column.
func (in *input) position(at int) (line, column int) {
	before := in.text[:min(at, len(in.text))]
	return bytes.Count(before, []byte("\n")) + 1, len(before) - bytes.LastIndexByte(before, '\n')
}

func (in *input) space() {
	for in.at < len(in.text) && bytes.IndexByte([]byte(" \t\r\n"), in.text[in.at]) >= 0 {
		in.at++
	}
}

// take skips space and reports whether c comes next, which it then takes.
func (in *input) take(c byte) bool {
	in.space()
	if in.at < len(in.text) && in.text[in.at] == c {
		in.at++
		return true
	}
	return false
}

func (in *input) value(depth int) (*value, error) {
	in.space()
	v := &value{at: in.at, kind: in.text[in.at]}
	if depth > maxDepth {
		return nil, in.undecodable(in.at, "values nest deeper than %d", maxDepth)
	}
	var err error
	switch v.kind {
	case '{':
		in.at++
		for !in.take('}') {
			in.take(',')
			in.space()
			m := member{at: in.at}
			if m.name, err = in.string(); err != nil {
				return nil, err
			}
			in.take(':')
			if m.v, err = in.value(depth + 1); err != nil {
				return nil, err
			}
			v.members = append(v.members, m)
		}
	case '[':
		in.at++
		for !in.take(']') {
			in.take(',')
			e, err := in.value(depth + 1)
			if err != nil {
				return nil, err
			}
			v.list = append(v.list, e)
		}
	case '"':
		v.text, err = in.string()
	case 't', 'f', 'n':
		v.text = in.word()
		v.yes = v.text == "true"
		if v.kind == 'f' {
			v.kind = 't'
		}
	default:
		v.kind, v.text = '0', in.word()
	}
	return v, err
}

// word takes a number or a literal name.
func (in *input) word() string {
	from := in.at
	for in.at < len(in.text) && bytes.IndexByte([]byte(" \t\r\n,:]}"), in.text[in.at]) < 0 {
		in.at++
	}
	return string(in.text[from:in.at])
}

// string takes a string.
func (in *input) string() (string, error) {
	from := in.at
	for in.at++; in.text[in.at] != '"'; in.at++ {
		if in.text[in.at] == '\\' {
			in.at++
		}
	}
	in.at++
	var s string
	if err := json.Unmarshal(in.text[from:in.at], &s); err != nil {
		return "", in.undecodable(from, "%v", err)
	}
	return s, nil
}

// any is v as encoding/json makes it.
func (v *value) any() (any, error) {
	switch v.kind {
	case '{':
		m := make(map[string]any, len(v.members))
		for _, f := range v.members {
			e, err := f.v.any()
			if err != nil {
				return nil, err
			}
			m[f.name] = e
		}
		return m, nil
	case '[':
		l := make([]any, 0, len(v.list))
		for _, f := range v.list {
			e, err := f.any()
			if err != nil {
				return nil, err
			}
			l = append(l, e)
		}
		return l, nil
	case '"':
		return v.text, nil
	case '0':
		var f float64
		if err := json.Unmarshal([]byte(v.text), &f); err != nil {
			return nil, fmt.Errorf("%s is out of range", v.text)
		}
		return f, nil
	case 't':
		return v.yes, nil
	default:
		return nil, nil
	}
}

// blank reports whether v says nothing: null, false, zero, or nothing but such.
func (v *value) blank() bool {
	switch v.kind {
	case '{':
		for _, m := range v.members {
			if !m.v.blank() {
				return false
			}
		}
		return true
	case '[':
		for _, e := range v.list {
			if !e.blank() {
				return false
			}
		}
		return true
	case '"':
		return v.text == ""
	case '0':
		return v.text == "0"
	case 't':
		return !v.yes
	default:
		return true
	}
}
