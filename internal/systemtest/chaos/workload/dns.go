package workload

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"herald/internal/systemtest/chaos/history"
)

// dnsPatience is how long a client waits for a DNS answer.
const dnsPatience = 2 * time.Second

func overDNS(s *server) bool { return s.DNS != "" }

// query asks a server for a service, once, over UDP.
func (c *client) query(ctx context.Context, s *server, service, kind string) history.Asked {
	o := history.Asked{Service: service, Type: kind}
	name := service + ".service." + c.cfg.Domain + "."
	o.Span = c.ask(ctx, s, "dns", dnsPatience, func(ctx context.Context) error {
		res, err := s.resolve(ctx, uint16(c.rng.Uint32()), name, kind)
		if err != nil {
			return err
		}
		o.Code = codeName(res.RCode)
		o.Answers = answersOf(res)
		if res.RCode != dnsmessage.RCodeSuccess && res.RCode != dnsmessage.RCodeNameError {
			return fmt.Errorf("answered %s", o.Code)
		}
		return nil
	})
	return o
}

// codeName spells an answer's code as dig does.
func codeName(c dnsmessage.RCode) string {
	names := map[dnsmessage.RCode]string{
		dnsmessage.RCodeSuccess: "NOERROR", dnsmessage.RCodeFormatError: "FORMERR",
		dnsmessage.RCodeServerFailure: "SERVFAIL", dnsmessage.RCodeNameError: "NXDOMAIN",
		dnsmessage.RCodeNotImplemented: "NOTIMP", dnsmessage.RCodeRefused: "REFUSED",
	}
	if n := names[c]; n != "" {
		return n
	}
	return c.String()
}

// answersOf is what the records of the answer section point at.
func answersOf(m *dnsmessage.Message) []string {
	var all []string
	for _, r := range m.Answers {
		switch b := r.Body.(type) {
		case *dnsmessage.AResource:
			all = append(all, net.IP(b.A[:]).String())
		case *dnsmessage.SRVResource:
			all = append(all, fmt.Sprintf("%s:%d", strings.TrimSuffix(b.Target.String(), "."), b.Port))
		}
	}
	return all
}

// resolve sends one question and waits for its answer.
func (s *server) resolve(ctx context.Context, id uint16, name, kind string) (*dnsmessage.Message, error) {
	q, err := question(id, name, kind)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	packet, err := q.Pack()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNotSent, err)
	}
	conn, err := s.dial(ctx, "udp", s.DNS)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })()
	if _, err := conn.Write(packet); err != nil {
		return nil, err
	}
	b := make([]byte, 64<<10)
	for {
		n, err := conn.Read(b)
		if err != nil {
			return nil, err
		}
		var m dnsmessage.Message
		if err := m.Unpack(b[:n]); err != nil {
			return nil, fmt.Errorf("answer of %d bytes: %w", n, err)
		}
		if m.ID != id || !m.Response {
			continue // late, for somebody who had this port before
		}
		if m.Truncated {
			return nil, errors.New("answer is truncated")
		}
		return &m, nil
	}
}

func question(id uint16, name, kind string) (*dnsmessage.Message, error) {
	n, err := dnsmessage.NewName(name)
	if err != nil {
		return nil, err
	}
	t := dnsmessage.TypeA
	if kind == "SRV" {
		t = dnsmessage.TypeSRV
	}
	return &dnsmessage.Message{
		Header:    dnsmessage.Header{ID: id, RecursionDesired: true},
		Questions: []dnsmessage.Question{{Name: n, Type: t, Class: dnsmessage.ClassINET}},
	}, nil
}
