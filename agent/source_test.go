package agent

import (
	"fmt"
	"strings"
	"testing"

	"herald/registry"
)

// TestSourceRefusals gives a source's second set, some of it bad, and looks at what
// stands. Services are written id/port:checks; the first set is a/1:ca b/1:cb, and the
// API has api/1:capi.
func TestSourceRefusals(t *testing.T) {
	parse := func(sets string) (defs []registry.ServiceDefinition) {
		for _, one := range strings.Fields(sets) {
			id, rest, _ := strings.Cut(one, "/")
			d := registry.ServiceDefinition{ID: id, Name: id}
			port, checks, _ := strings.Cut(rest, ":")
			if _, err := fmt.Sscan(port, &d.Port); err != nil {
				t.Fatal(err)
			}
			for _, c := range strings.FieldsFunc(checks, func(r rune) bool { return r == ',' }) {
				d.Checks = append(d.Checks, ttlDef(c, ""))
			}
			defs = append(defs, d)
		}
		return defs
	}
	for name, c := range map[string]struct {
		set, stands string
		refused     []string // what each line of the error says
	}{
		"nothing":                         {"a/2:ca b/2:cb", "a/2:ca api/1:capi b/2:cb", nil},
		"a new one":                       {"a/2:ca c/99999", "a/2:ca api/1:capi", []string{`"c"`}},
		"a known one":                     {"a/2:ca b/99999:cb", "a/2:ca api/1:capi b/1:cb", []string{`"b"`}},
		"all of them":                     {"a/99999 b/99999", "a/1:ca api/1:capi b/1:cb", []string{`"a"`, `"b"`}},
		"another's id":                    {"a/2:ca api/2 c/1", "a/2:ca api/1:capi c/1", []string{"the API"}},
		"an id twice":                     {"a/2 a/3 b/2", "a/2 api/1:capi b/2", []string{"named twice"}},
		"an id twice, the first bad":      {"a/99999 a/3", "a/3 api/1:capi", []string{`"a"`}},
		"a bad check":                     {"a/2:ca,ca c/1:cc", "a/1:ca api/1:capi c/1:cc", []string{"two checks"}},
		"another's check":                 {"a/2:new,capi b/2:cb", "a/1:ca api/1:capi b/2:cb", []string{`service "api"`}},
		"a check that moves":              {"a/2:cb b/2:ca", "a/2:cb api/1:capi b/2:ca", nil},
		"a check of one that is refused":  {"a/2:x,capi c/1:ca b/2:cb", "a/1:ca api/1:capi b/2:cb", []string{`service "a"`, `service "api"`}},
		"a check that two want":           {"a/2:c b/2:c", "a/2:c api/1:capi b/1:cb", []string{`service "a"`}},
		"a moved check, the taker is bad": {"a/2:z b/99999:ca", "a/2:z api/1:capi b/1:cb", []string{`"b"`}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newAgent(t, config(), newFake(), nil)
			t.Cleanup(a.Close)
			register(t, a, parse("api/1:capi")[0])
			if err := a.SetSource(t.Context(), "s", parse("a/1:ca b/1:cb")); err != nil {
				t.Fatal(err)
			}
			err := a.SetSource(t.Context(), "s", parse(c.set))
			lines := []string{}
			if err != nil {
				lines = strings.Split(err.Error(), "\n")
			}
			said := map[string]bool{}
			for _, want := range c.refused {
				for _, l := range lines {
					said[want] = said[want] || strings.Contains(l, want)
				}
			}
			if len(lines) != len(c.refused) || len(said) != len(c.refused) {
				t.Errorf("the error is %v, want one line for each of %q", err, c.refused)
			}
			for want, ok := range said {
				if !ok {
					t.Errorf("the error %q does not say %q", err, want)
				}
			}
			var all []string
			for _, s := range a.Services() {
				one := fmt.Sprintf("%s/%d", s.Definition.ID, s.Definition.Port)
				for i, check := range s.Definition.Checks {
					one += []string{":", ","}[min(i, 1)] + check.ID
				}
				all = append(all, one)
			}
			if got := strings.Join(all, " "); got != c.stands {
				t.Errorf("services are %s, want %s", got, c.stands)
			}
		})
	}
}
