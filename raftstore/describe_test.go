package raftstore

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/registry"
	"herald/registry/wire"
)

func drawPromise(t *rapid.T) promise {
	return promise{
		ClusterID:   rapid.StringN(1, 40, -1).Draw(t, "cluster"),
		Coordinator: rapid.StringN(1, 40, -1).Draw(t, "coordinator"),
		Address:     rapid.String().Draw(t, "address"),
	}
}

func TestDescriptionRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		d := description{
			ID: rapid.StringN(1, 40, -1).Draw(t, "id"), Name: rapid.String().Draw(t, "name"),
			Address: rapid.StringN(1, 40, -1).Draw(t, "address"), Version: rapid.String().Draw(t, "version"),
			Cluster: rapid.String().Draw(t, "cluster"), Left: rapid.Bool().Draw(t, "left"),
			Fresh: rapid.Bool().Draw(t, "fresh"), Expect: rapid.IntRange(0, maxExpect).Draw(t, "expect"),
			Suffrage: rapid.SampledFrom([]registry.Suffrage{"", registry.Voter, registry.NonVoter}).Draw(t, "suffrage"),
			Term:     rapid.Uint64().Draw(t, "term"), LastIndex: rapid.Uint64().Draw(t, "last"),
			Committed: rapid.Uint64().Draw(t, "committed"), Applied: rapid.Uint64().Draw(t, "applied"),
			Leader: rapid.String().Draw(t, "leader"), LeaderAddress: rapid.String().Draw(t, "leader address"),
			Lost: rapid.Bool().Draw(t, "lost"),
		}
		if rapid.Bool().Draw(t, "promised") {
			p := drawPromise(t)
			d.Promise = &p
		}
		d.Knows = rapid.SliceOfN(rapid.StringN(1, 20, -1), 0, maxKnows).Draw(t, "knows")
		if len(d.Knows) == 0 {
			d.Knows = nil
		}
		got, err := decodeDescription(d.append(nil))
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("%+v became %+v, %v", d, got, err)
		}
		// A newer version says more.
		got, err = decodeDescription(wire.AppendString(d.append(nil), 99, "news"))
		if err != nil || !reflect.DeepEqual(got, d) {
			t.Fatalf("with a field more, %+v became %+v, %v", d, got, err)
		}
	})
}

func TestInvitationAndAdmissionRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		i := invitation{drawPromise(t), rapid.IntRange(0, maxExpect).Draw(t, "expect"), rapid.Bool().Draw(t, "exists")}
		if got, err := decodeInvitation(i.append(nil)); err != nil || got != i {
			t.Fatalf("%+v became %+v, %v", i, got, err)
		}
		a := admission{rapid.StringN(1, 40, -1).Draw(t, "id"), rapid.StringN(1, 40, -1).Draw(t, "at"), rapid.Bool().Draw(t, "join")}
		if got, err := decodeAdmission(a.append(nil)); err != nil || got != a {
			t.Fatalf("%+v became %+v, %v", a, got, err)
		}
	})
}

func TestMessagesThatMakeNoSense(t *testing.T) {
	t.Parallel()
	whole := description{ID: "a", Address: "a:7400", Promise: &promise{ClusterID: "c"}}
	b := whole.append(nil)
	nameless, nowhere := description{Address: "a:7400"}, description{ID: "a"}
	for name, b := range map[string][]byte{
		"cut short":             b[:len(b)-1],
		"no id":                 nameless.append(nil),
		"no address":            nowhere.append(nil),
		"an expectation of 9e9": wire.AppendUint(whole.append(nil), describeExpect, 9e9),
		"a third suffrage":      wire.AppendUint(whole.append(nil), describeVoter, 3),
		"nothing":               nil,
	} {
		if d, err := decodeDescription(b); err == nil {
			t.Errorf("%s: %+v", name, d)
		}
	}
	if i, err := decodeInvitation(nil); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("an empty invitation: %+v, %v", i, err)
	}
	if a, err := decodeAdmission(nil); !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("an empty admission: %+v, %v", a, err)
	}
	many := whole
	many.Knows = strings.Split(strings.Repeat("a:1,", 1000), ",")
	if d, err := decodeDescription(many.append(nil)); err != nil || len(d.Knows) > maxKnows {
		t.Errorf("a server that knows too many: %d of them, %v", len(d.Knows), err)
	}
}

func FuzzDecodeDescription(f *testing.F) {
	d := description{ID: "a", Name: "n", Address: "a:7400", Expect: 3, Fresh: true, Promise: &promise{"c", "b", "b:7400"}, Suffrage: registry.Voter, Term: 7}
	f.Add(d.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := decodeDescription(b)
		if err != nil {
			return
		}
		if again, err := decodeDescription(d.append(nil)); err != nil || !reflect.DeepEqual(again, d) {
			t.Errorf("%+v became %+v, %v", d, again, err)
		}
	})
}

func FuzzDecodeInvitation(f *testing.F) {
	i := invitation{promise{"c", "b", "b:7400"}, 3, true}
	f.Add(i.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if i, err := decodeInvitation(b); err == nil {
			if again, err := decodeInvitation(i.append(nil)); err != nil || again != i {
				t.Errorf("%+v became %+v, %v", i, again, err)
			}
		}
	})
}

func FuzzDecodeAdmission(f *testing.F) {
	a := admission{"a", "a:7400", true}
	f.Add(a.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, err := decodeAdmission(b); err == nil {
			if again, err := decodeAdmission(a.append(nil)); err != nil || again != a {
				t.Errorf("%+v became %+v, %v", a, again, err)
			}
		}
	})
}
