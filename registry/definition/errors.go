package definition

import (
	"errors"
	"fmt"

	"herald/registry"
)

// ErrDecode is returned, wrapped in an Error, when bytes are not of the form:
// malformed JSON, an unknown field, a value of the wrong type. The HTTP API puts
// "Request decode failed: " before the error's text.
var ErrDecode = errors.New("not a definition")

// Error is a definition that was refused. To errors.Is it is
// registry.ErrInvalidDefinition, and ErrDecode or
// registry.ErrDuplicateService if it is about that.
type Error struct {
	// Text is what is wrong, in the words that clients of the HTTP API know where
	// there are such.
	Text string
	// File is the name that ParseFile was given, else "".
	File string
	// Line and Column say where in the input, from 1; columns count bytes.
	Line, Column int

	kind error
	// place says that the text alone would leave one searching.
	place bool
}

// Error returns the text, after its place if it is of a file, or if the text alone
// would leave one searching.
func (e *Error) Error() string {
	switch {
	case e.File != "":
		return fmt.Sprintf("%s:%d:%d: %s", e.File, e.Line, e.Column, e.Text)
	case e.place:
		return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Text)
	default:
		return e.Text
	}
}

// Is makes errors.Is hold for what the error is about.
func (e *Error) Is(target error) bool {
	return target == registry.ErrInvalidDefinition || e.kind != nil && target == e.kind
}

// refuse is an Error about what stands at an offset.
func (in *input) refuse(kind error, at int, format string, args ...any) *Error {
	e := &Error{File: in.name, Text: fmt.Sprintf(format, args...), kind: kind}
	e.Line, e.Column = in.position(at)
	return e
}

// undecodable is an ErrDecode that says where.
func (in *input) undecodable(at int, format string, args ...any) error {
	e := in.refuse(ErrDecode, at, format, args...)
	e.place = true
	return e
}
