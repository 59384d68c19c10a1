package node

import "fmt"

// DoorError is a door that could not be opened.
type DoorError struct {
	Door string
	Err  error
}

func (e *DoorError) Error() string { return fmt.Sprintf("door %s: %v", e.Door, e.Err) }

func (e *DoorError) Unwrap() error { return e.Err }

// partError is a part of the node that failed while it ran.
type partError struct {
	part string
	err  error
}

func (e *partError) Error() string { return e.part + ": " + e.err.Error() }

func (e *partError) Unwrap() error { return e.err }
