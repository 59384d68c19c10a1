package definition

import (
	"maps"
	"slices"
	"strings"
	"time"

	"herald/registry"
)

// The kinds that the form has fields for.
const (
	kindHTTP   = "http"
	kindTCP    = "tcp"
	kindUDP    = "udp"
	kindGRPC   = "grpc"
	kindH2Ping = "h2ping"
	kindTTL    = "ttl"
	kindExec   = "exec"
	kindAlias  = "alias"
	kindDocker = "docker"
	kindOS     = "osservice"
)

// leastDeregister is the shortest DeregisterCriticalServiceAfter there is.
const leastDeregister = time.Minute

// ParseCheck reads a check definition as the HTTP API's register endpoint takes it.
// A check without an id takes its name as one. Warnings say what the caller should
// know although it was accepted. Errors are *Error.
func ParseCheck(b []byte) (registry.CheckDefinition, []string, error) {
	p, v, err := begin("", b, true)
	if err != nil {
		return registry.CheckDefinition{}, nil, err
	}
	d, err := p.standaloneCheck(v)
	if err != nil {
		return registry.CheckDefinition{}, nil, err
	}
	return d, p.warnings, nil
}

// standaloneCheck reads a check that is not part of a service.
func (p *parser) standaloneCheck(v *value) (registry.CheckDefinition, error) {
	p.alone = true
	defer func() { p.alone = false }()
	d, err := p.check(v)
	if d.ID == "" {
		d.ID = d.Name
	}
	return d, err
}

// spec gathers what the fields of the form say about what to check.
type spec struct {
	http, tcp, udp, grpc, h2ping, script string
	args                                 []string
	ttl                                  bool
	aliasService, aliasNode              string
	container, shell, osService          string

	kind  string // Herald's own Kind and Spec
	given map[string]any

	options map[string]option // the fields that say how, by their names in a Spec
}

// option is a field that goes with one kind of check.
type option struct {
	name  string // as the input spells it
	value any
}

func (p *parser) check(v *value) (registry.CheckDefinition, error) {
	var d registry.CheckDefinition
	var checkID, status string
	var scriptArgs []string
	s := spec{options: map[string]option{}}
	err := p.in.object("a check", v, map[string]setter{
		"id":       text(&d.ID),
		"check_id": text(&checkID),
		"name":     text(&d.Name),
		"notes":    text(&d.Notes),
		"status":   text(&status),
		"interval": duration(&d.Interval),
		"timeout":  duration(&d.Timeout),
		"ttl": func(in *input, m *member) error {
			s.ttl = !m.v.blank()
			return duration(&d.TTL)(in, m)
		},
		"service_id": text(&d.ServiceID),

		"success_before_passing":            number(&d.SuccessBeforePassing),
		"failures_before_warning":           number(&d.FailuresBeforeWarning),
		"failures_before_critical":          number(&d.FailuresBeforeCritical),
		"deregister_critical_service_after": duration(&d.DeregisterAfter),
		"output_max_size":                   number(&d.OutputMaxSize),

		"http":        text(&s.http),
		"tcp":         text(&s.tcp),
		"args":        texts(&s.args),
		"script_args": texts(&scriptArgs),
		"script":      text(&s.script),
		"kind":        text(&s.kind),
		"spec":        s.any,

		"method":            textOption(&s, "method"),
		"body":              textOption(&s, "body"),
		"header":            s.header,
		"tls_skip_verify":   flagOption(&s, "tls_skip_verify"),
		"tls_server_name":   textOption(&s, "tls_server_name"),
		"disable_redirects": flagOption(&s, "disable_redirects"),

		"udp":            text(&s.udp),
		"grpc":           text(&s.grpc),
		"h2ping":         text(&s.h2ping),
		"tcp_use_tls":    flagOption(&s, "tcp_use_tls"),
		"grpc_use_tls":   flagOption(&s, "grpc_use_tls"),
		"h2ping_use_tls": s.either("h2ping_use_tls"),

		"alias_node":    text(&s.aliasNode),
		"alias_service": text(&s.aliasService),

		"docker_container_id": text(&s.container),
		"shell":               text(&s.shell),
		"os_service":          text(&s.osService),

		"namespace": p.warned("default", "Herald has one namespace"),
		"partition": p.warned("default", "Herald has one partition"),
		"token":     ignored,
	})
	if err != nil {
		return d, err
	}
	if d.ID != "" && checkID != "" && d.ID != checkID {
		return d, p.refuse(v, "Invalid check: ID is %q and CheckID is %q: give one", d.ID, checkID)
	}
	if d.ID == "" {
		d.ID = checkID
	}
	if len(s.args) > 0 && len(scriptArgs) > 0 {
		return d, p.refuse(v, "Invalid check: it has both Args and ScriptArgs: give one")
	}
	s.args = append(s.args, scriptArgs...)
	d.Status = registry.HealthStatus(status)
	if p.strict {
		if err := p.checkCheck(v, &d, &s); err != nil {
			return d, err
		}
	}
	return d, p.what(v, &d, &s)
}

func (s *spec) any(in *input, m *member) error {
	if m.v.kind != '{' {
		return in.wrongType(m, "an object")
	}
	v, err := m.v.any()
	if err != nil {
		return in.undecodable(m.v.at, "%q: %v", m.name, err)
	}
	s.given = v.(map[string]any)
	return nil
}

func (s *spec) header(in *input, m *member) error {
	var h map[string][]string
	err := header(&h)(in, m)
	if len(h) > 0 {
		s.options["header"] = option{m.name, h}
	}
	return err
}

// either is a flag that says something when it is false, too.
func (s *spec) either(name string) setter {
	return func(in *input, m *member) error {
		var b bool
		err := flag(&b)(in, m)
		if err == nil && m.v.kind == 't' {
			s.options[name] = option{m.name, b}
		}
		return err
	}
}

func textOption(s *spec, name string) setter {
	return func(in *input, m *member) error {
		var t string
		err := text(&t)(in, m)
		if t != "" {
			s.options[name] = option{m.name, t}
		}
		return err
	}
}

func flagOption(s *spec, name string) setter {
	return func(in *input, m *member) error {
		var b bool
		err := flag(&b)(in, m)
		if b {
			s.options[name] = option{m.name, b}
		}
		return err
	}
}

// kinds are the kinds that s asks for, by the fields that do.
func (s *spec) kinds() []string {
	var all []string
	add := func(is bool, kind string) {
		if is {
			all = append(all, kind)
		}
	}
	add(s.http != "", kindHTTP)
	add(s.tcp != "", kindTCP)
	add(s.udp != "", kindUDP)
	add(s.grpc != "", kindGRPC)
	add(s.h2ping != "", kindH2Ping)
	runs := kindExec
	if s.container != "" {
		runs = kindDocker
	}
	add(len(s.args) > 0, runs)
	add(s.script != "", runs)
	add(s.osService != "", kindOS)
	add(s.aliasService != "" || s.aliasNode != "", kindAlias)
	add(s.ttl && s.kind != kindTTL, kindTTL)
	add(s.kind != "", s.kind)
	return all
}

// checkCheck says what is wrong with a check.
func (p *parser) checkCheck(v *value, d *registry.CheckDefinition, s *spec) error {
	kinds := s.kinds()
	alias := len(kinds) > 0 && kinds[0] == kindAlias
	runs := len(kinds) > 0 && kinds[0] != kindTTL && !alias
	switch {
	case p.alone && d.Name == "":
		return p.refuse(v, "Missing check name")
	case s.container != "" && len(s.args) == 0 && s.script == "":
		return p.refuse(v, "Invalid check: it has DockerContainerID and no Args, the command to run in the container")
	case d.Interval > 0 && (d.TTL > 0 || s.kind == kindTTL):
		return p.refuse(v, "Invalid check: Interval and TTL cannot both be specified")
	case runs && d.Interval <= 0:
		return p.refuse(v, "Invalid check: Interval must be > 0 for Script, HTTP, H2PING, TCP, UDP or OSService checks")
	case !runs && !alias && d.TTL <= 0:
		return p.refuse(v, "Invalid check: TTL must be > 0 for TTL checks")
	case s.shell != "" && s.container == "":
		return p.refuse(v, "Invalid check: Shell is for Docker checks; a command line goes into Script")
	case len(kinds) > 1:
		return p.refuse(v, "Invalid check: it is of kinds %s: a check has exactly one", strings.Join(kinds, " and "))
	case s.kind == "" && s.given != nil:
		return p.refuse(v, "Invalid check: Spec is given without Kind")
	case d.Status != "" && !d.Status.Valid() && p.alone:
		return p.refuse(v, "Bad check status")
	case d.Status != "" && !d.Status.Valid():
		return p.refuse(v, "Status for checks must 'passing', 'warning', 'critical'")
	case d.Timeout < 0:
		return p.refuse(v, "Invalid check: Timeout must not be below 0")
	case d.DeregisterAfter < 0:
		return p.refuse(v, "Invalid check: DeregisterCriticalServiceAfter must not be below 0")
	case d.SuccessBeforePassing < 0 || d.FailuresBeforeWarning < 0 || d.FailuresBeforeCritical < 0:
		return p.refuse(v, "Invalid check: SuccessBeforePassing, FailuresBeforeWarning and FailuresBeforeCritical must not be below 0")
	case d.FailuresBeforeWarning > max(d.FailuresBeforeCritical, 1):
		return p.refuse(v, "Invalid check: FailuresBeforeWarning must not be above FailuresBeforeCritical")
	case d.OutputMaxSize < 0:
		return p.refuse(v, "Invalid check: OutputMaxSize must not be below 0")
	}
	if d.DeregisterAfter > 0 && d.DeregisterAfter < leastDeregister {
		p.warn("DeregisterCriticalServiceAfter is %v and counts as %v, the shortest there is", d.DeregisterAfter, leastDeregister)
		d.DeregisterAfter = leastDeregister
	}
	if alias && (d.Interval != 0 || d.Timeout != 0) {
		p.warn("Interval and Timeout are ignored: an alias check is not run but follows others")
		d.Interval, d.Timeout = 0, 0
	}
	if !runs && d.Timeout != 0 {
		p.warn("Timeout is ignored: a TTL check is not run")
		d.Timeout = 0
	}
	return nil
}

// what sets the kind of a check, and what that kind needs to know.
func (p *parser) what(v *value, d *registry.CheckDefinition, s *spec) error {
	put := func(name string, value any) {
		if d.Spec == nil {
			d.Spec = map[string]any{}
		}
		d.Spec[name] = value
	}
	switch {
	case s.kind != "":
		d.Kind, d.Spec = s.kind, s.given
	case s.http != "":
		d.Kind = kindHTTP
		put("url", s.http)
	case s.tcp != "":
		d.Kind = kindTCP
		put("address", s.tcp)
	case s.udp != "":
		d.Kind = kindUDP
		put("address", s.udp)
	case s.grpc != "":
		d.Kind = kindGRPC
		put("target", s.grpc)
	case s.h2ping != "":
		d.Kind = kindH2Ping
		put("address", s.h2ping)
	case s.container != "":
		d.Kind = kindDocker
		put("container", s.container)
		s.putDocker(put)
	case s.osService != "":
		d.Kind = kindOS
		put("service", s.osService)
	case len(s.args) > 0:
		d.Kind = kindExec
		put("args", s.args)
	case s.script != "":
		d.Kind = kindExec
		put("shell", s.script)
	case s.aliasService != "" || s.aliasNode != "":
		d.Kind = kindAlias
		if s.aliasService != "" {
			put("service", s.aliasService)
		}
		if s.aliasNode != "" {
			put("node", s.aliasNode)
		}
	case s.ttl:
		d.Kind = kindTTL
	}
	for _, name := range slices.Sorted(maps.Keys(s.options)) {
		o := s.options[name]
		to, takes := optionsOf[d.Kind][name]
		switch {
		case p.strict && s.kind != "" && !strings.HasSuffix(name, "_use_tls"):
			return p.refuse(v, "Invalid check: %q is not for a check with Kind: it goes into Spec", o.name)
		case takes && s.kind == "":
			put(to, o.value)
		case strings.HasSuffix(name, "_use_tls"): // which clients send with any check
		case optionsOf[kindTCP][name] == "":
			p.warn("%q is ignored: it is for HTTP checks", o.name)
		default:
			p.warn("%q is ignored: it is for checks that speak TLS", o.name)
		}
	}
	return nil
}

// putDocker says what to run in the container: a program, or a line for the shell that is named.
func (s *spec) putDocker(put func(name string, value any)) {
	line := s.script
	if s.shell != "" && line == "" {
		line = strings.Join(s.args, " ")
	}
	if line == "" {
		put("args", s.args)
		return
	}
	put("shell", line)
	if s.shell != "" {
		put("shell_path", s.shell)
	}
}

// optionsOf are the fields of the form that say how to check, and their names in a Spec of each kind that takes them.
var optionsOf = map[string]map[string]string{
	kindHTTP: {
		"method": "method", "header": "header", "body": "body", "disable_redirects": "disable_redirects",
		"tls_skip_verify": "tls_skip_verify", "tls_server_name": "tls_server_name",
	},
	kindTCP:    {"tcp_use_tls": "use_tls", "tls_skip_verify": "tls_skip_verify", "tls_server_name": "tls_server_name"},
	kindGRPC:   {"grpc_use_tls": "use_tls", "tls_skip_verify": "tls_skip_verify", "tls_server_name": "tls_server_name"},
	kindH2Ping: {"h2ping_use_tls": "use_tls", "tls_skip_verify": "tls_skip_verify", "tls_server_name": "tls_server_name"},
}
