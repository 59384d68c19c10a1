package storetest

import (
	"testing"

	"herald/registry"
)

func TestMemoryConforms(t *testing.T) {
	Run(t, func(t *testing.T) registry.Store { return NewMemory(t) })
}
