package definition

import "fmt"

// parser is what reading one input gathers beside its result.
type parser struct {
	in       *input
	warnings []string
	// strict checks what is read; without it only the form is. What was written by
	// Marshal passed before, and a newer version must not lose it by being
	// stricter.
	strict bool
	// alone says that a check that is read belongs to no service definition.
	alone bool
}

func (p *parser) warn(format string, args ...any) {
	p.warnings = append(p.warnings, fmt.Sprintf(format, args...))
}

func (p *parser) refuse(v *value, format string, args ...any) error {
	return p.in.refuse(nil, v.at, format, args...)
}

func begin(name string, b []byte, strict bool) (*parser, *value, error) {
	in, v, err := parse(name, b)
	return &parser{in: in, strict: strict}, v, err
}
