package catalog

import (
	"fmt"
	"testing"
)

func TestTable(t *testing.T) {
	const n = 50_000
	var first tableEdit
	if first.get("0") != nil {
		t.Error("an empty table has a service")
	}
	for i := range n {
		first.set(&Service{key: fmt.Sprint(i)})
	}
	second := tableEdit{table: first.table}
	for i := range n {
		if i%2 == 0 {
			second.remove(fmt.Sprint(i))
		} else {
			second.set(&Service{key: fmt.Sprint(i), Revision: 2})
		}
	}
	second.remove("never")
	for i := range n {
		key := fmt.Sprint(i)
		if s := first.get(key); s == nil || s.key != key || s.Revision != 0 {
			t.Fatalf("the first table has %+v for %s", s, key)
		}
		switch s := second.get(key); {
		case i%2 == 0 && s != nil:
			t.Fatalf("the second table has %+v for %s, which was removed", s, key)
		case i%2 == 1 && (s == nil || s.key != key || s.Revision != 2):
			t.Fatalf("the second table has %+v for %s", s, key)
		}
	}
}
