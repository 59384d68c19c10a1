package openapi

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Schema is a JSON Schema.
type Schema = map[string]any

// Schemas makes the schemas of Go types as encoding/json encodes them. Structs with names are components of the document, by
// their types' names.
type Schemas struct {
	// given are schemas of types that encode themselves.
	given map[reflect.Type]Schema
	named map[reflect.Type]string
	made  map[string]Schema
	// suffix is of the names of components; lenient ones require no field.
	suffix  string
	lenient bool
}

// NewSchemas knows, beside what reflection tells, the schemas of types that encode themselves.
func NewSchemas(given map[reflect.Type]Schema) *Schemas {
	return &Schemas{given: given, named: map[reflect.Type]string{}, made: map[string]Schema{}}
}

// Requests are the schemas of the same types as they are decoded: of which nothing has to be there.
func (s *Schemas) Requests() *Schemas {
	return &Schemas{given: s.given, named: map[reflect.Type]string{}, made: s.made, suffix: "Request", lenient: true}
}

func (s *Schemas) components() map[string]Schema { return s.made }

var (
	typeDuration  = reflect.TypeFor[time.Duration]()
	typeTime      = reflect.TypeFor[time.Time]()
	typeRaw       = reflect.TypeFor[json.RawMessage]()
	typeMarshaler = reflect.TypeFor[json.Marshaler]()
	typeText      = reflect.TypeFor[encoding.TextMarshaler]()
)

// Of is the schema of a type: a reference for a struct with a name. It panics for what JSON cannot have, such as a function, and for a type
// that encodes itself and was not given: those are mistakes of whoever made the document.
func (s *Schemas) Of(t reflect.Type) Schema {
	if given, ok := s.given[t]; ok {
		return given
	}
	switch {
	case t == typeDuration:
		return Schema{"type": "integer", "format": "int64", "description": "in nanoseconds"}
	case t == typeTime:
		return Schema{"type": "string", "format": "date-time"}
	case t == typeRaw:
		return Schema{}
	case t.Kind() != reflect.Pointer && t.Implements(typeText) && !t.Implements(typeMarshaler):
		return Schema{"type": "string"}
	case t.Kind() != reflect.Pointer && t.Implements(typeMarshaler):
		panic("openapi: " + t.String() + " encodes itself, and no schema of it was given")
	}
	switch t.Kind() {
	case reflect.Bool:
		return Schema{"type": "boolean"}
	case reflect.String:
		return Schema{"type": "string"}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return Schema{"type": "integer"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return Schema{"type": "integer", "minimum": 0}
	case reflect.Float32, reflect.Float64:
		return Schema{"type": "number"}
	case reflect.Interface:
		return Schema{}
	case reflect.Pointer:
		return orNull(s.Of(t.Elem()))
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return Schema{"type": []string{"string", "null"}, "contentEncoding": "base64"}
		}
		return Schema{"type": []string{"array", "null"}, "items": s.Of(t.Elem())}
	case reflect.Array:
		return Schema{"type": "array", "items": s.Of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return Schema{"type": []string{"object", "null"}, "additionalProperties": s.Of(t.Elem())}
	case reflect.Struct:
		return s.ofStruct(t)
	}
	panic("openapi: JSON has nothing for " + t.String())
}

// orNull is a schema that null satisfies, too.
func orNull(of Schema) Schema {
	return Schema{"anyOf": []Schema{of, {"type": "null"}}}
}

// ofStruct is a reference to a struct's schema, which is made if there is none yet; that itself for one without a name.
func (s *Schemas) ofStruct(t reflect.Type) Schema {
	if t.Name() == "" || strings.ContainsFunc(t.Name(), func(r rune) bool { return r == '[' }) {
		return s.fields(t)
	}
	name, ok := s.named[t]
	if !ok {
		name = s.nameOf(t)
		s.named[t] = name
		s.made[name] = Schema{} // for types that hold themselves
		s.made[name] = s.fields(t)
	}
	return Schema{"$ref": "#/components/schemas/" + name}
}

// nameOf is the name of a type's component: the type's, with its package's before it if that is taken.
func (s *Schemas) nameOf(t reflect.Type) string {
	name := upper(t.Name()) + s.suffix
	if _, taken := s.made[name]; taken {
		name = upper(t.PkgPath()[strings.LastIndexByte(t.PkgPath(), '/')+1:]) + name
	}
	return name
}

func upper(name string) string { return string(unicode.ToUpper(rune(name[0]))) + name[1:] }

// fields is the schema of a struct. What is left out when it is empty is not required.
func (s *Schemas) fields(t reflect.Type) Schema {
	properties, required := map[string]Schema{}, []string{}
	s.addFields(t, properties, &required)
	out := Schema{"type": "object", "properties": properties}
	if len(required) > 0 && !s.lenient {
		out["required"] = required
	}
	return out
}

func (s *Schemas) addFields(t reflect.Type, properties map[string]Schema, required *[]string) {
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		switch {
		case tag == "-" || !f.IsExported() && !f.Anonymous:
			continue
		case f.Anonymous && name == "" && f.Type.Kind() == reflect.Struct:
			s.addFields(f.Type, properties, required)
			continue
		case name == "":
			name = f.Name
		}
		properties[name] = s.Of(f.Type)
		if !strings.Contains(options, "omit") {
			*required = append(*required, name)
		}
	}
}
