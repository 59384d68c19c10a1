package dnsserver

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// ttls are how long the records of a name may be cached, in seconds: what its own name
// says, else the longest prefix of it, else the default.
type ttls struct {
	other    uint32
	exact    map[string]uint32 // by name in lower case
	prefixes []prefixTTL       // the longest first
}

type prefixTTL struct {
	prefix  string
	seconds uint32
}

// newTTLs reads a list of name=duration, where a name that ends in * stands for all that begin
// with what is before it.
func newTTLs(other time.Duration, list []string) (ttls, error) {
	t := ttls{other: seconds(other)}
	for _, entry := range list {
		name, text, ok := strings.Cut(entry, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		d, err := time.ParseDuration(strings.TrimSpace(text))
		if !ok || err != nil || name == "" {
			return ttls{}, fmt.Errorf("%q is not name=duration, such as web=10s or api-*=5s", entry)
		}
		if err := validTTL(entry, d); err != nil {
			return ttls{}, err
		}
		prefix, isPrefix := strings.CutSuffix(name, "*")
		switch {
		case strings.Contains(prefix, "*"):
			return ttls{}, fmt.Errorf("%q: a * is only at the end of a name", entry)
		case isPrefix:
			t.prefixes = append(t.prefixes, prefixTTL{prefix, seconds(d)})
		default:
			if t.exact == nil {
				t.exact = map[string]uint32{}
			}
			t.exact[name] = seconds(d)
		}
	}
	slices.SortStableFunc(t.prefixes, func(a, b prefixTTL) int { return cmp.Compare(len(b.prefix), len(a.prefix)) })
	return t, nil
}

// of is the TTL of what has that name, in whatever case.
func (t *ttls) of(name string) uint32 {
	if len(t.exact)+len(t.prefixes) == 0 {
		return t.other
	}
	name = strings.ToLower(name)
	if s, ok := t.exact[name]; ok {
		return s
	}
	for _, p := range t.prefixes {
		if strings.HasPrefix(name, p.prefix) {
			return p.seconds
		}
	}
	return t.other
}

func seconds(d time.Duration) uint32 { return uint32(d / time.Second) }

// validTTL checks what is to be a record's TTL: whole seconds in 31 bits (RFC 2181
// section 8).
func validTTL(setting string, d time.Duration) error {
	switch {
	case d < 0 || d > math.MaxInt32*time.Second:
		return fmt.Errorf("%s is from 0s to %ds, not %v", setting, math.MaxInt32, d)
	case d%time.Second != 0:
		return fmt.Errorf("%s is in whole seconds, not %v", setting, d)
	}
	return nil
}
