package session

import (
	"fmt"
	"time"

	"herald/registry"
	"herald/registry/wire"
)

// record is what the session space keeps of a session: the session, and the lease of the
// marks of what it has locked.
//
//	1 name  2 node  3 TTL, ns  4 TTL as it was spelled  5 lock delay, ns  6 behavior
//	7 node checks, each a message  8 checks  9 service checks  10 the marks' lease
//	11 has node checks (of which there may be none)
type record struct {
	Session
	marks registry.LeaseID
}

func (r *record) encode() []byte {
	b := wire.AppendString(nil, 1, r.Name)
	b = wire.AppendString(b, 2, r.Node)
	b = wire.AppendInt(b, 3, int64(r.TTL))
	b = wire.AppendString(b, 4, r.TTLText)
	b = wire.AppendInt(b, 5, int64(r.LockDelay))
	b = wire.AppendString(b, 6, string(r.Behavior))
	b = appendIDs(b, 7, r.NodeChecks)
	b = appendIDs(b, 8, r.Checks)
	b = appendIDs(b, 9, r.ServiceChecks)
	b = wire.AppendInt(b, 10, int64(r.marks))
	return wire.AppendBool(b, 11, r.NodeChecks != nil)
}

func appendIDs(b []byte, field int, ids []string) []byte {
	for _, id := range ids {
		// As a message, since an empty string would be left out.
		b = wire.AppendMessage(b, field, func(b []byte) []byte { return append(b, id...) })
	}
	return b
}

// decode reads the record that a key has. Errors wrap registry.ErrCorrupt.
func decode(kv *registry.KeyValue) (*record, error) {
	r := &record{Session: Session{
		ID:          ID(kv.Key[len(sessionPrefix):]),
		CreateIndex: kv.CreateRevision, ModifyIndex: kv.ModRevision,
	}}
	err := wire.Decode(kv.Value, func(f *wire.Field) (err error) {
		var n int64
		var s string
		switch f.Number {
		case 1:
			r.Name, err = f.String()
		case 2:
			r.Node, err = f.String()
		case 3:
			n, err = f.Int()
			r.TTL = time.Duration(n)
		case 4:
			r.TTLText, err = f.String()
		case 5:
			n, err = f.Int()
			r.LockDelay = time.Duration(n)
		case 6:
			s, err = f.String()
			r.Behavior = Behavior(s)
		case 7:
			s, err = f.String()
			r.NodeChecks = append(r.NodeChecks, s)
		case 8:
			s, err = f.String()
			r.Checks = append(r.Checks, s)
		case 9:
			s, err = f.String()
			r.ServiceChecks = append(r.ServiceChecks, s)
		case 10:
			n, err = f.Int()
			r.marks = registry.LeaseID(n)
		case 11:
			var has bool
			if has, err = f.Bool(); has && r.NodeChecks == nil {
				r.NodeChecks = []string{}
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%w: session %s: %w", registry.ErrCorrupt, r.ID, err)
	}
	return r, nil
}
