package query

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Render returns the query that d is for a name. Of a template, every text in Service
// has its ${…} replaced:
//
//	${name.full}      the name
//	${name.prefix}    what of it is the template's own name
//	${name.suffix}    what comes after it
//	${match(N)}       the Nth group of Template.Regexp on the name, 0 for all of it;
//	                  empty where there is none
//	${agent.segment}  empty: there are no segments
//
// $${ stands for ${ itself. What is no template is returned as it is. Errors are
// *InvalidError, and come of a definition that was not validated.
func (d *Definition) Render(name string) (Definition, error) {
	out := *d
	if !d.IsTemplate() {
		return out, nil
	}
	r := renderer{full: name, prefix: name[:min(len(d.Name), len(name))]}
	if d.Template.Regexp != "" {
		re, err := regexp.Compile(d.Template.Regexp)
		if err != nil {
			return out, invalid("Bad Template.Regexp: %v", err)
		}
		r.groups = re.FindStringSubmatch(name)
	}
	s := &out.Service
	s.Service = r.text(s.Service)
	s.Near = r.text(s.Near)
	s.IgnoreCheckIDs = r.list(s.IgnoreCheckIDs)
	s.Tags = r.list(s.Tags)
	s.NodeMeta = r.values(s.NodeMeta)
	s.ServiceMeta = r.values(s.ServiceMeta)
	s.Failover.Datacenters = r.list(s.Failover.Datacenters)
	s.Failover.Targets = slices.Clone(s.Failover.Targets)
	for i := range s.Failover.Targets {
		t := &s.Failover.Targets[i]
		t.Peer, t.Datacenter = r.text(t.Peer), r.text(t.Datacenter)
		t.Partition, t.Namespace = r.text(t.Partition), r.text(t.Namespace)
	}
	if d.Template.RemoveEmptyTags {
		s.Tags = slices.DeleteFunc(s.Tags, func(t string) bool { return t == "" || t == "!" })
	}
	return out, r.err
}

// renderer replaces what is between ${ and } for one name. Its first error stays.
type renderer struct {
	full, prefix string
	groups       []string
	err          error
}

func (r *renderer) list(texts []string) []string {
	out := slices.Clone(texts)
	for i := range out {
		out[i] = r.text(out[i])
	}
	return out
}

func (r *renderer) values(m map[string]string) map[string]string {
	if m == nil {
		return nil
	}
	out := make(map[string]string, len(m))
	for k, v := range m {
		out[k] = r.text(v)
	}
	return out
}

func (r *renderer) text(text string) string {
	if !strings.Contains(text, "${") {
		return text
	}
	var b strings.Builder
	for rest := text; ; {
		at := strings.Index(rest, "${")
		if at < 0 {
			b.WriteString(rest)
			return b.String()
		}
		if at > 0 && rest[at-1] == '$' {
			b.WriteString(rest[:at-1])
			b.WriteString("${")
			rest = rest[at+2:]
			continue
		}
		b.WriteString(rest[:at])
		expr, after, closed := strings.Cut(rest[at+2:], "}")
		if !closed {
			r.fail(text, "has ${ without }")
			return ""
		}
		b.WriteString(r.value(text, strings.TrimSpace(expr)))
		rest = after
	}
}

func (r *renderer) value(text, expr string) string {
	switch expr {
	case "name.full":
		return r.full
	case "name.prefix":
		return r.prefix
	case "name.suffix":
		return r.full[len(r.prefix):]
	case "agent.segment":
		return ""
	}
	if n, ok := groupNumber(expr); ok {
		if n < len(r.groups) {
			return r.groups[n]
		}
		return ""
	}
	r.fail(text, "has ${"+expr+"}: want name.full, name.prefix, name.suffix, agent.segment or match(N)")
	return ""
}

// groupNumber reads match(N).
func groupNumber(expr string) (int, bool) {
	inner, ok := strings.CutPrefix(expr, "match(")
	if !ok {
		return 0, false
	}
	inner, ok = strings.CutSuffix(inner, ")")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(inner), 10, 31)
	return int(n), err == nil
}

func (r *renderer) fail(text, problem string) {
	if r.err == nil {
		r.err = invalid("Bad template: the text %q %s", text, problem)
	}
}
