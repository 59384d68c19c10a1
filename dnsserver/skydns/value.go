package skydns

import (
	"encoding/json"
	"fmt"
	"math"
	"net/netip"
	"strings"

	"herald/registry"
)

const (
	// MaxValue is the longest value that is read, in bytes.
	MaxValue = 16 << 10
	// NoPort is the port of a record that is none of a service.
	NoPort = -1

	// defaultPriority and defaultWeight are those of a value that says nothing, or 0.
	defaultPriority = 10
	defaultWeight   = 100
	// defaultTTL is the TTL, in seconds, of a value that says nothing.
	defaultTTL = 300
	// maxTTL is the longest that a record may be cached (RFC 2181 section 8).
	maxTTL = math.MaxInt32
	// leasedTTL is the longest, in seconds, that a record may be cached whose key ends with a lease. How long the
	// lease lives is known to the leader alone; this is the least that CoreDNS says for one, unless it is told otherwise.
	leasedTTL = 30
	// maxWeight keeps sums of weights within 64 bits.
	maxWeight = math.MaxInt32
)

// Value is what the value of a key says.
type Value struct {
	// Address is the host, if that is an IP address; Host is the host, if it is a name: in lower case, without a final
	// dot. There may be neither.
	Address netip.Addr
	Host    string
	// Port is a service's, or NoPort.
	Port     int
	Priority uint16
	// Weight is relative to those of the records beside it, and at least 1.
	Weight uint32
	Text   string
	// Mail says that the host takes mail.
	Mail bool
	// TTL is in seconds.
	TTL uint32
	// TargetStrip is how many labels, from the left, are left out of the record's own name where that stands for its address.
	TargetStrip int
	Group       string
}

// ParseValue reads a value: a JSON object with any of host, port, priority, weight, text, mail, ttl, targetstrip and
// group. Other members are ignored. It fails for what is no such object, longer than MaxValue, or out of range.
func ParseValue(b []byte) (Value, error) {
	if len(b) > MaxValue {
		return Value{}, fmt.Errorf("it has %d bytes, and at most %d are read", len(b), MaxValue)
	}
	var of struct {
		Host        string `json:"host"`
		Port        int    `json:"port"`
		Priority    int    `json:"priority"`
		Weight      int    `json:"weight"`
		Text        string `json:"text"`
		Mail        bool   `json:"mail"`
		TTL         uint32 `json:"ttl"`
		TargetStrip int    `json:"targetstrip"`
		Group       string `json:"group"`
	}
	if err := json.Unmarshal(b, &of); err != nil {
		return Value{}, fmt.Errorf("it is not a record in JSON: %w", err)
	}
	for _, member := range []struct {
		name         string
		is, from, to int
	}{
		{"port", of.Port, NoPort, math.MaxUint16},
		{"priority", of.Priority, 0, math.MaxUint16},
		{"weight", of.Weight, 0, maxWeight},
		{"targetstrip", of.TargetStrip, 0, maxPath},
	} {
		if member.is < member.from || member.is > member.to {
			return Value{}, fmt.Errorf("%s is from %d to %d, not %d", member.name, member.from, member.to, member.is)
		}
	}
	v := Value{
		Port: of.Port, Priority: uint16(of.Priority), Weight: uint32(of.Weight), Text: of.Text, Mail: of.Mail, TTL: of.TTL,
		TargetStrip: of.TargetStrip, Group: of.Group,
	}
	if v.Priority == 0 {
		v.Priority = defaultPriority
	}
	if v.Weight == 0 {
		v.Weight = defaultWeight
	}
	if v.TTL == 0 {
		v.TTL = defaultTTL
	}
	v.TTL = min(v.TTL, maxTTL)
	switch ip, ok := registry.IP(of.Host); {
	case of.Host == "":
	case ok && ip.Zone() == "":
		v.Address = ip
	case isHostName(of.Host):
		v.Host = strings.Map(lower, strings.TrimSuffix(of.Host, "."))
	default:
		return Value{}, fmt.Errorf("host %q is neither an IP address nor a name", of.Host)
	}
	return v, nil
}
