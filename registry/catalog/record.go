package catalog

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"herald/registry"
	"herald/registry/wire"
)

// The encodings are canonical: equal records have equal bytes, where a nil map or
// slice equals an empty one. That is what lets a registration that changes
// nothing be recognised as it is applied, by its bytes. Field numbers are for
// ever; a decoder skips those it does not know.

// EncodeNode returns the value of a node's record.
func EncodeNode(n registry.Node) []byte {
	b := wire.AppendString(nil, 1, n.Name)
	b = wire.AppendString(b, 2, n.ID)
	b = wire.AppendString(b, 3, n.Address)
	b = appendStrings(b, 4, n.TaggedAddresses)
	return appendStrings(b, 5, n.Meta)
}

// DecodeNode reads what EncodeNode wrote. Errors wrap registry.ErrCorrupt. It
// keeps no reference to b.
func DecodeNode(b []byte) (registry.Node, error) {
	var n registry.Node
	err := wire.Decode(b, func(f *wire.Field) (err error) {
		switch f.Number {
		case 1:
			n.Name, err = f.String()
		case 2:
			n.ID, err = f.String()
		case 3:
			n.Address, err = f.String()
		case 4:
			err = decodeStrings(&n.TaggedAddresses, f)
		case 5:
			err = decodeStrings(&n.Meta, f)
		}
		return err
	})
	if err != nil {
		return registry.Node{}, corrupt("node", err)
	}
	return n, nil
}

// EncodeInstance returns the value of an instance's record.
func EncodeInstance(i registry.Instance) []byte {
	b := wire.AppendString(nil, 1, i.Node)
	b = wire.AppendString(b, 2, i.ID)
	b = wire.AppendString(b, 3, i.Service)
	b = appendTags(b, i.Tags)
	b = wire.AppendString(b, 5, i.Address)
	b = wire.AppendInt(b, 6, int64(i.Port))
	for _, name := range slices.Sorted(maps.Keys(i.TaggedAddresses)) {
		a := i.TaggedAddresses[name]
		b = wire.AppendMessage(b, 7, func(b []byte) []byte {
			b = wire.AppendString(b, 1, name)
			b = wire.AppendString(b, 2, a.Address)
			return wire.AppendInt(b, 3, int64(a.Port))
		})
	}
	b = appendStrings(b, 8, i.Meta)
	b = wire.AppendInt(b, 9, int64(i.Weights.Passing))
	b = wire.AppendInt(b, 10, int64(i.Weights.Warning))
	b = wire.AppendBool(b, 11, i.EnableTagOverride)
	return wire.AppendString(b, 12, i.SocketPath)
}

func appendTags(b []byte, tags []string) []byte {
	for _, tag := range tags {
		// As a message, since an empty string would be left out.
		b = wire.AppendMessage(b, 4, func(b []byte) []byte { return append(b, tag...) })
	}
	return b
}

// DecodeInstance reads what EncodeInstance wrote. Errors wrap
// registry.ErrCorrupt. It keeps no reference to b.
func DecodeInstance(b []byte) (registry.Instance, error) {
	var i registry.Instance
	err := wire.Decode(b, func(f *wire.Field) (err error) {
		switch f.Number {
		case 1:
			i.Node, err = f.String()
		case 2:
			i.ID, err = f.String()
		case 3:
			i.Service, err = f.String()
		case 4:
			var tag string
			tag, err = f.String()
			i.Tags = append(i.Tags, tag)
		case 5:
			i.Address, err = f.String()
		case 6:
			i.Port, err = decodeInt(f)
		case 7:
			err = decodeAddress(&i, f)
		case 8:
			err = decodeStrings(&i.Meta, f)
		case 9:
			i.Weights.Passing, err = decodeInt(f)
		case 10:
			i.Weights.Warning, err = decodeInt(f)
		case 11:
			i.EnableTagOverride, err = f.Bool()
		case 12:
			i.SocketPath, err = f.String()
		}
		return err
	})
	if err != nil {
		return registry.Instance{}, corrupt("instance", err)
	}
	i.Tags = slices.Clip(i.Tags)
	return i, nil
}

func decodeAddress(i *registry.Instance, f *wire.Field) error {
	b, err := f.Bytes()
	if err != nil {
		return err
	}
	var name string
	var a registry.ServiceAddress
	err = wire.Decode(b, func(f *wire.Field) (err error) {
		switch f.Number {
		case 1:
			name, err = f.String()
		case 2:
			a.Address, err = f.String()
		case 3:
			a.Port, err = decodeInt(f)
		}
		return err
	})
	if err != nil {
		return err
	}
	if i.TaggedAddresses == nil {
		i.TaggedAddresses = make(map[string]registry.ServiceAddress, 2)
	}
	i.TaggedAddresses[name] = a
	return nil
}

// EncodeCheck returns the value of a check's record.
func EncodeCheck(c registry.Check) []byte {
	b := wire.AppendString(nil, 1, c.Node)
	b = wire.AppendString(b, 2, c.ID)
	b = wire.AppendString(b, 3, c.Name)
	b = wire.AppendString(b, 4, string(c.Status))
	b = wire.AppendString(b, 5, c.Notes)
	b = wire.AppendString(b, 6, c.Output)
	b = wire.AppendString(b, 7, c.ServiceID)
	b = wire.AppendString(b, 8, c.ServiceName)
	b = wire.AppendString(b, 9, c.Kind)
	b = wire.AppendInt(b, 10, int64(c.Interval))
	return wire.AppendInt(b, 11, int64(c.Timeout))
}

// DecodeCheck reads what EncodeCheck wrote. Errors wrap registry.ErrCorrupt. It
// keeps no reference to b.
func DecodeCheck(b []byte) (registry.Check, error) {
	var c registry.Check
	err := wire.Decode(b, func(f *wire.Field) (err error) {
		switch f.Number {
		case 1:
			c.Node, err = f.String()
		case 2:
			c.ID, err = f.String()
		case 3:
			c.Name, err = f.String()
		case 4:
			c.Status, err = decodeStatus(f)
		case 5:
			c.Notes, err = f.String()
		case 6:
			c.Output, err = f.String()
		case 7:
			c.ServiceID, err = f.String()
		case 8:
			c.ServiceName, err = f.String()
		case 9:
			c.Kind, err = f.String()
		case 10:
			c.Interval, err = decodeDuration(f)
		case 11:
			c.Timeout, err = decodeDuration(f)
		}
		return err
	})
	if err != nil {
		return registry.Check{}, corrupt("check", err)
	}
	return c, nil
}

// decodeStatus shares the names of the statuses that are known. Others are kept
// as they are; HealthStatus takes them for critical.
func decodeStatus(f *wire.Field) (registry.HealthStatus, error) {
	b, err := f.Bytes()
	if err != nil {
		return "", err
	}
	switch s := registry.HealthStatus(b); s {
	case registry.Passing:
		return registry.Passing, nil
	case registry.Warning:
		return registry.Warning, nil
	case registry.Critical:
		return registry.Critical, nil
	default:
		return s, nil
	}
}

func decodeDuration(f *wire.Field) (time.Duration, error) {
	v, err := f.Int()
	return time.Duration(v), err
}

// decodeInt reads a number that fits 32 bits, as ports and weights do, so that
// every platform reads the same.
func decodeInt(f *wire.Field) (int, error) {
	v, err := f.Int()
	if err == nil && (v < math.MinInt32 || v > math.MaxInt32) {
		return 0, fmt.Errorf("%w: field %d is %d, which is out of range", wire.ErrMalformed, f.Number, v)
	}
	return int(v), err
}

// appendStrings appends a map, each pair a message, in order of its keys.
func appendStrings(b []byte, field int, m map[string]string) []byte {
	for _, k := range slices.Sorted(maps.Keys(m)) {
		b = wire.AppendMessage(b, field, func(b []byte) []byte {
			return wire.AppendString(wire.AppendString(b, 1, k), 2, m[k])
		})
	}
	return b
}

func decodeStrings(m *map[string]string, f *wire.Field) error {
	b, err := f.Bytes()
	if err != nil {
		return err
	}
	var k, v string
	err = wire.Decode(b, func(f *wire.Field) (err error) {
		switch f.Number {
		case 1:
			k, err = f.String()
		case 2:
			v, err = f.String()
		}
		return err
	})
	if err != nil {
		return err
	}
	if *m == nil {
		*m = make(map[string]string, 4)
	}
	(*m)[k] = v
	return nil
}

func corrupt(what string, err error) error {
	return fmt.Errorf("%s record: %w: %w", what, registry.ErrCorrupt, err)
}
