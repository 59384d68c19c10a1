package definition

import (
	"encoding/json"
	"fmt"
	"time"

	"herald/registry"
)

// Marshal writes a service definition in the form that this package reads, in
// Consul's own fields wherever they can say it. It fails only on a Spec that JSON
// cannot carry.
func Marshal(d registry.ServiceDefinition) ([]byte, error) {
	f := serviceForm{
		ID: d.ID, Name: d.Name, Tags: d.Tags, Address: d.Address, Port: d.Port, Meta: d.Meta,
		TaggedAddresses: d.TaggedAddresses, Weights: d.Weights,
		EnableTagOverride: d.EnableTagOverride, SocketPath: d.SocketPath,
	}
	for i := range d.Checks {
		f.Checks = append(f.Checks, formOf(&d.Checks[i]))
	}
	return marshal("service "+d.Name, f)
}

// MarshalCheck writes a check definition in the form that this package reads.
func MarshalCheck(d registry.CheckDefinition) ([]byte, error) {
	return marshal("check "+d.Name, formOf(&d))
}

func marshal(what string, form any) ([]byte, error) {
	b, err := json.Marshal(form)
	if err != nil {
		return nil, fmt.Errorf("%w: %s cannot be written as JSON: %w", registry.ErrInvalidDefinition, what, err)
	}
	return b, nil
}

// Unmarshal reads what Marshal wrote. It looks at the form alone, so that a
// definition which was once accepted is never lost. Errors are *Error.
func Unmarshal(b []byte) (registry.ServiceDefinition, error) {
	p, v, err := begin("", b, false)
	if err != nil {
		return registry.ServiceDefinition{}, err
	}
	return p.service(v)
}

// UnmarshalCheck reads what MarshalCheck wrote, as Unmarshal does.
func UnmarshalCheck(b []byte) (registry.CheckDefinition, error) {
	p, v, err := begin("", b, false)
	if err != nil {
		return registry.CheckDefinition{}, err
	}
	return p.check(v)
}

type serviceForm struct {
	ID                string                             `json:",omitempty"`
	Name              string                             `json:",omitempty"`
	Tags              []string                           `json:",omitempty"`
	Address           string                             `json:",omitempty"`
	Port              int                                `json:",omitempty"`
	TaggedAddresses   map[string]registry.ServiceAddress `json:",omitempty"`
	Meta              map[string]string                  `json:",omitempty"`
	Weights           *registry.Weights                  `json:",omitempty"`
	EnableTagOverride bool                               `json:",omitempty"`
	SocketPath        string                             `json:",omitempty"`
	Checks            []checkForm                        `json:",omitempty"`
}

type checkForm struct {
	CheckID   string                `json:",omitempty"`
	Name      string                `json:",omitempty"`
	Notes     string                `json:",omitempty"`
	Status    registry.HealthStatus `json:",omitempty"`
	ServiceID string                `json:",omitempty"`

	Interval span `json:",omitempty"`
	Timeout  span `json:",omitempty"`
	TTL      span `json:",omitempty"`

	HTTP             string              `json:",omitempty"`
	Method           string              `json:",omitempty"`
	Header           map[string][]string `json:",omitempty"`
	Body             string              `json:",omitempty"`
	TLSSkipVerify    bool                `json:",omitempty"`
	TLSServerName    string              `json:",omitempty"`
	DisableRedirects bool                `json:",omitempty"`
	TCP              string              `json:",omitempty"`
	TCPUseTLS        bool                `json:",omitempty"`
	UDP              string              `json:",omitempty"`
	GRPC             string              `json:",omitempty"`
	GRPCUseTLS       bool                `json:",omitempty"`
	H2PING           string              `json:",omitempty"`
	H2PingUseTLS     *bool               `json:",omitempty"`
	Args             []string            `json:",omitempty"`
	Script           string              `json:",omitempty"`
	AliasService     string              `json:",omitempty"`
	AliasNode        string              `json:",omitempty"`

	Kind string `json:",omitempty"`
	Spec any    `json:",omitempty"`

	SuccessBeforePassing           int  `json:",omitempty"`
	FailuresBeforeWarning          int  `json:",omitempty"`
	FailuresBeforeCritical         int  `json:",omitempty"`
	DeregisterCriticalServiceAfter span `json:",omitempty"`
	OutputMaxSize                  int  `json:",omitempty"`
}

// span is a duration as the form spells it.
type span time.Duration

func (s span) MarshalText() ([]byte, error) { return []byte(time.Duration(s).String()), nil }

func formOf(d *registry.CheckDefinition) checkForm {
	f := checkForm{
		CheckID: d.ID, Name: d.Name, Notes: d.Notes, Status: d.Status, ServiceID: d.ServiceID,
		Interval: span(d.Interval), Timeout: span(d.Timeout), TTL: span(d.TTL),
		SuccessBeforePassing: d.SuccessBeforePassing, FailuresBeforeWarning: d.FailuresBeforeWarning,
		FailuresBeforeCritical: d.FailuresBeforeCritical, DeregisterCriticalServiceAfter: span(d.DeregisterAfter),
		OutputMaxSize: d.OutputMaxSize,
	}
	// Consul's fields say it if they say exactly this; Kind and Spec can always.
	with := f
	if with.what(d) {
		return with
	}
	f.Kind = d.Kind
	if d.Spec != nil {
		f.Spec = d.Spec
	}
	return f
}

// what says d's kind and Spec in Consul's fields, and reports whether that is all
// there is to them.
func (f *checkForm) what(d *registry.CheckDefinition) bool {
	said := 0
	str := func(name string, to *string) bool {
		s, _ := d.Spec[name].(string)
		if *to = s; s != "" {
			said++
		}
		return s != ""
	}
	boolean := func(name string, to *bool) {
		if *to, _ = d.Spec[name].(bool); *to {
			said++
		}
	}
	secured := func() {
		str("tls_server_name", &f.TLSServerName)
		boolean("tls_skip_verify", &f.TLSSkipVerify)
	}
	switch d.Kind {
	case kindHTTP:
		if !str("url", &f.HTTP) {
			return false
		}
		str("method", &f.Method)
		str("body", &f.Body)
		secured()
		boolean("disable_redirects", &f.DisableRedirects)
		if f.Header, _ = d.Spec["header"].(map[string][]string); len(f.Header) > 0 {
			said++
		}
		for _, values := range f.Header {
			if len(values) == 0 {
				return false
			}
		}
	case kindTCP:
		if !str("address", &f.TCP) {
			return false
		}
		boolean("use_tls", &f.TCPUseTLS)
		secured()
	case kindUDP:
		if !str("address", &f.UDP) {
			return false
		}
	case kindGRPC:
		if !str("target", &f.GRPC) {
			return false
		}
		boolean("use_tls", &f.GRPCUseTLS)
		secured()
	case kindH2Ping:
		if !str("address", &f.H2PING) {
			return false
		}
		if b, ok := d.Spec["use_tls"].(bool); ok {
			f.H2PingUseTLS = &b
			said++
		}
		secured()
	case kindExec:
		if f.Args, _ = d.Spec["args"].([]string); len(f.Args) > 0 {
			said++
		} else if !str("shell", &f.Script) {
			return false
		}
	case kindAlias:
		str("service", &f.AliasService)
		str("node", &f.AliasNode)
	case kindTTL:
		if d.TTL == 0 || d.Spec != nil {
			return false
		}
	default:
		return false
	}
	return said == len(d.Spec)
}
