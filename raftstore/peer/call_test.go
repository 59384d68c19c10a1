package peer

import (
	"bytes"
	"context"
	"errors"
	"testing"
)

func TestCallAnswers(t *testing.T) {
	a := Config{Address: "127.0.0.1:0", Self: func() Identity { return Identity{"c", "a"} }}
	b := Config{Address: "127.0.0.1:0", Self: func() Identity { return Identity{"c", "b"} }}
	pa, err := Listen(a)
	if err != nil {
		t.Fatal(err)
	}
	defer pa.Close()
	pb, err := Listen(b)
	if err != nil {
		t.Fatal(err)
	}
	defer pb.Close()
	echo := func(_ context.Context, from Identity, req []byte) ([]byte, error) {
		if len(req) == 0 {
			return nil, errors.New("nothing to say to " + from.Node)
		}
		return bytes.ToUpper(req), nil
	}
	pb.Handle(1, echo)
	pb.HandleInline(2, echo)
	pb.Serve()
	to := Target{"b", pb.Addr().String()}
	for m := Method(1); m <= 2; m++ {
		if resp, err := pa.Call(t.Context(), to, m, []byte("hello")); err != nil || string(resp) != "HELLO" {
			t.Errorf("method %d: %q, %v", m, resp, err)
		}
		if _, err := pa.Call(t.Context(), to, m, nil); err == nil || err.Error() != "nothing to say to a" {
			t.Errorf("method %d: %v", m, err)
		}
	}
	if _, err := pa.Call(t.Context(), to, 3, nil); !errors.Is(err, ErrNotSent) {
		t.Error(err)
	}
}
