package filter

import "sync"

// kept is how many filters of a type each of a cache's two generations holds.
const kept = 128

// Cache compiles an expression once, as long as it is asked for now and then. The
// zero value is ready for use; it is safe for concurrent use.
type Cache[T any] struct {
	mu sync.Mutex
	// Whatever is used is in young. When that is full it becomes old, and what was
	// old and has not been used since is forgotten.
	young, old map[string]*Filter[T]
}

// Compile is as the function, and nil for no expression. What cannot be compiled
// is not kept.
func (c *Cache[T]) Compile(expression string) (*Filter[T], error) {
	if expression == "" {
		return nil, nil
	}
	if f := c.find(expression); f != nil {
		return f, nil
	}
	f, err := Compile[T](expression)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keepLocked(f)
	return f, nil
}

func (c *Cache[T]) find(expression string) *Filter[T] {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f := c.young[expression]; f != nil {
		return f
	}
	f := c.old[expression]
	if f != nil {
		c.keepLocked(f)
	}
	return f
}

func (c *Cache[T]) keepLocked(f *Filter[T]) {
	if c.young == nil || len(c.young) >= kept {
		c.old, c.young = c.young, make(map[string]*Filter[T])
	}
	c.young[f.expression] = f
}
