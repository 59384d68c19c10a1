package definition

import "herald/registry"

// Definitions are what one file defines.
type Definitions struct {
	Services []registry.ServiceDefinition
	// Checks are those of no service definition. Each has an id.
	Checks []registry.CheckDefinition
	// Warnings say what a user should know although it was accepted.
	Warnings []string
}

// ParseFile reads a file of definitions: an object with any of "service",
// "services", "check" and "checks", or a service by itself. Two services of one id
// are refused with registry.ErrDuplicateService.
//
// Errors are *Error and begin with the file's name, line and column.
func ParseFile(name string, b []byte) (Definitions, error) {
	p, v, err := begin(name, b, true)
	if err != nil {
		return Definitions{}, err
	}
	d, err := p.file(v)
	if err != nil {
		return Definitions{}, err
	}
	d.Warnings = p.warnings
	return d, nil
}

func (p *parser) file(v *value) (Definitions, error) {
	var d Definitions
	if v.kind != '{' {
		return d, p.in.undecodable(v.at, "a file of definitions must be an object, not %s", v.what())
	}
	// A service by itself has a check or checks too.
	if has(v, "name") || !(has(v, "service") || has(v, "services") || has(v, "check") || has(v, "checks")) {
		s, err := p.service(v)
		d.Services = append(d.Services, s)
		return d, err
	}
	ids := map[string]bool{}
	service := func(v *value) (registry.ServiceDefinition, error) {
		s, err := p.service(v)
		if err == nil {
			if id := serviceID(&s); ids[id] {
				err = p.in.refuse(registry.ErrDuplicateService, v.at, "%v %q", registry.ErrDuplicateService, id)
			} else {
				ids[id] = true
			}
		}
		return s, err
	}
	checkIDs := map[string]bool{}
	check := func(v *value) (registry.CheckDefinition, error) {
		c, err := p.standaloneCheck(v)
		if err == nil {
			if checkIDs[c.ID] {
				err = p.refuse(v, "Invalid check: two checks have the id %q", c.ID)
			}
			checkIDs[c.ID] = true
		}
		return c, err
	}
	err := p.in.object("a file of definitions", v, map[string]setter{
		"service":  one(&d.Services, service),
		"services": many(p, &d.Services, service),
		"check":    one(&d.Checks, check),
		"checks":   many(p, &d.Checks, check),
	})
	return d, err
}

func has(v *value, name string) bool {
	for _, m := range v.members {
		if _, set := lookup(map[string]setter{name: ignored}, m.name); set != nil && m.v.kind != 'n' {
			return true
		}
	}
	return false
}

func one[T any](to *[]T, read func(*value) (T, error)) setter {
	return func(_ *input, m *member) error {
		d, err := read(m.v)
		*to = append(*to, d)
		return err
	}
}

func many[T any](p *parser, to *[]T, read func(*value) (T, error)) setter {
	return func(_ *input, m *member) error {
		list, err := listOf(p, m.name, m.v, read)
		*to = append(*to, list...)
		return err
	}
}
