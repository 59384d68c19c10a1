package definition

import (
	"strconv"
	"strings"
	"time"
)

// setter takes the value of one field. The member is for what an error names.
type setter func(in *input, m *member) error

// object reads v's fields. The table's names are in snake case; input may leave
// the underscores out, and be in any case.
func (in *input) object(what string, v *value, table map[string]setter) error {
	if v.kind != '{' {
		return in.undecodable(v.at, "%s must be an object, not %s", what, v.what())
	}
	seen := map[string]bool{}
	for i := range v.members {
		m := &v.members[i]
		name, set := lookup(table, m.name)
		if set == nil {
			return in.refuse(ErrDecode, m.at, "json: unknown field %q", m.name)
		}
		if seen[name] {
			return in.undecodable(m.at, "%q is given twice", m.name)
		}
		seen[name] = true
		if m.v.kind == 'n' {
			continue
		}
		if err := set(in, m); err != nil {
			return err
		}
	}
	return nil
}

func lookup(table map[string]setter, name string) (string, setter) {
	name = strings.ToLower(name)
	if set := table[name]; set != nil {
		return name, set
	}
	for known, set := range table {
		if len(known) > len(name) && strings.ReplaceAll(known, "_", "") == name {
			return known, set
		}
	}
	return "", nil
}

func (in *input) wrongType(m *member, want string) error {
	return in.undecodable(m.v.at, "%q must be %s, not %s", m.name, want, m.v.what())
}

func text(to *string) setter {
	return func(in *input, m *member) error {
		if m.v.kind != '"' {
			return in.wrongType(m, "a string")
		}
		*to = m.v.text
		return nil
	}
}

func flag(to *bool) setter {
	return func(in *input, m *member) error {
		if m.v.kind != 't' {
			return in.wrongType(m, "true or false")
		}
		*to = m.v.yes
		return nil
	}
}

// number reads a whole number that fits 32 bits: none of the form's is larger.
func number(to *int) setter {
	return func(in *input, m *member) error {
		if m.v.kind != '0' {
			return in.wrongType(m, "a number")
		}
		n, err := strconv.ParseInt(m.v.text, 10, 32)
		if err != nil {
			return in.undecodable(m.v.at, "%q must be a whole number of at most 32 bits, not %s", m.name, m.v.text)
		}
		*to = int(n)
		return nil
	}
}

// duration reads "10s", or nanoseconds. "" is as good as absent.
func duration(to *time.Duration) setter {
	return func(in *input, m *member) error {
		var err error
		switch {
		case m.v.kind == '"' && m.v.text == "":
		case m.v.kind == '"':
			*to, err = time.ParseDuration(m.v.text)
		case m.v.kind == '0':
			var n int64
			n, err = strconv.ParseInt(m.v.text, 10, 64)
			*to = time.Duration(n)
		default:
			return in.wrongType(m, `a duration such as "10s"`)
		}
		if err != nil {
			return in.undecodable(m.v.at, `%q must be a duration such as "10s", not %.64q`, m.name, m.v.text)
		}
		return nil
	}
}

func texts(to *[]string) setter {
	return func(in *input, m *member) error {
		if m.v.kind != '[' {
			return in.wrongType(m, "a list of strings")
		}
		list := make([]string, 0, len(m.v.list))
		for _, e := range m.v.list {
			if e.kind != '"' {
				return in.undecodable(e.at, "%q must be a list of strings, and has %s in it", m.name, e.what())
			}
			list = append(list, e.text)
		}
		if len(list) > 0 {
			*to = list
		}
		return nil
	}
}

// each reads an object whose names are not of the form but the user's.
func each(take func(in *input, m *member) error) setter {
	return func(in *input, m *member) error {
		if m.v.kind != '{' {
			return in.wrongType(m, "an object")
		}
		seen := map[string]bool{}
		for i := range m.v.members {
			e := &m.v.members[i]
			if seen[e.name] {
				return in.undecodable(e.at, "%q is given twice", e.name)
			}
			seen[e.name] = true
			if e.v.kind == 'n' {
				continue
			}
			if err := take(in, e); err != nil {
				return err
			}
		}
		return nil
	}
}

func textMap(to *map[string]string) setter {
	return each(func(in *input, m *member) error {
		if m.v.kind != '"' {
			return in.wrongType(m, "a string")
		}
		if *to == nil {
			*to = map[string]string{}
		}
		(*to)[m.name] = m.v.text
		return nil
	})
}

// header reads a map from names to lists of strings, or to single ones.
func header(to *map[string][]string) setter {
	return each(func(in *input, m *member) error {
		var list []string
		if m.v.kind == '"' {
			list = []string{m.v.text}
		} else if err := texts(&list)(in, m); err != nil {
			return err
		}
		if len(list) == 0 {
			return nil
		}
		if *to == nil {
			*to = map[string][]string{}
		}
		(*to)[m.name] = list
		return nil
	})
}

// blankOnly is for a field of the form that would have to be obeyed and cannot be.
func blankOnly(instead string) setter {
	return func(in *input, m *member) error {
		if m.v.blank() {
			return nil
		}
		return in.refuse(nil, m.at, "%q is not supported: %s", m.name, instead)
	}
}

// ignored is for a field that changes nothing that is advertised.
func ignored(*input, *member) error { return nil }

// warned is for a field that is ignored, and that one should know of if it says
// something other than the usual.
func (p *parser) warned(usual, reason string) setter {
	return func(in *input, m *member) error {
		if !m.v.blank() && !(m.v.kind == '"' && strings.EqualFold(m.v.text, usual)) {
			p.warn("%q is ignored: %s", m.name, reason)
		}
		return nil
	}
}
