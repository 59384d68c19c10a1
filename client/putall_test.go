package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"herald/client"
	"herald/registry"
)

func TestPutAll(t *testing.T) {
	s := serve(t)
	c := connect(t, s.url)
	kv := c.KV()
	big := []byte(strings.Repeat("v", 300<<10))
	var all []registry.KeyValue
	for i := range 300 {
		all = append(all, registry.KeyValue{Key: fmt.Sprintf("many/%03d", i), Value: fmt.Append(nil, i), Flags: 1<<63 + uint64(i)})
	}
	for i := range 4 { // each alone is within what a transaction may have, two are not
		all = append(all, registry.KeyValue{Key: fmt.Sprintf("big/%d", i), Value: big})
	}
	all = append(all,
		registry.KeyValue{Key: "huge", Value: []byte(strings.Repeat("v", 500<<10))}, // as base64 it is above
		registry.KeyValue{Key: "odd\xff\x00"}, registry.KeyValue{Key: "twice", Value: []byte("1")}, registry.KeyValue{Key: "twice", Value: []byte("2")})
	for range 2 { // the second time nothing changes
		if n, err := kv.PutAll(t.Context(), all); err != nil || n != len(all) {
			t.Fatalf("%d of %d: %v", n, len(all), err)
		}
	}
	res, err := s.store.Range(t.Context(), registry.RangeRequest{KeyRange: registry.All()})
	if err != nil || len(res.KVs) != len(all)-1 {
		t.Fatalf("%d keys, want %d: %v", len(res.KVs), len(all)-1, err)
	}
	byKey := map[string]registry.KeyValue{}
	transactions := map[int64]bool{}
	for _, kv := range res.KVs {
		byKey[kv.Key] = kv
		if strings.HasPrefix(kv.Key, "many/") {
			transactions[kv.ModRevision] = true
		}
	}
	for _, want := range all {
		if want.Key == "twice" {
			want.Value = []byte("2")
		}
		if got := byKey[want.Key]; string(got.Value) != string(want.Value) || got.Flags != want.Flags || got.Version != 1 && want.Key != "twice" {
			t.Errorf("%q is %d bytes with flags %d, version %d", want.Key, len(got.Value), got.Flags, got.Version)
		}
	}
	if len(transactions) != 3 {
		t.Errorf("300 keys were written in %d transactions, want 3", len(transactions))
	}
}

func TestPutAllSaysHowFarItCame(t *testing.T) {
	s := serve(t)
	kv := connect(t, s.url).KV()
	var all []registry.KeyValue
	for i := range 130 {
		all = append(all, registry.KeyValue{Key: fmt.Sprint(i)})
	}
	all[129].Key = strings.Repeat("k", 1<<20)
	n, err := kv.PutAll(t.Context(), all)
	if n != 129 || !errors.Is(err, registry.ErrTooLarge) {
		t.Errorf("%d written, %v", n, err)
	}
	all[129].Key = ""
	n, err = kv.PutAll(t.Context(), all)
	if n != 128 || !errors.Is(err, registry.ErrInvalid) {
		t.Errorf("an empty key: %d written, %v", n, err)
	}
}

// TestPutAllOfAnything writes whatever keys there are and finds the last of each.
func TestPutAllOfAnything(t *testing.T) {
	s := serve(t)
	kv := connect(t, s.url).KV()
	rapid.Check(t, func(t *rapid.T) {
		if err := kv.DeletePrefix(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		var all []registry.KeyValue
		for range rapid.IntRange(0, 20).Draw(t, "n") {
			// A leading slash is the path's, and no part of a key.
			key := "k" + string(rapid.SliceOfN(rapid.Byte(), 0, 4).Draw(t, "key"))
			value := string(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "value"))
			want[key] = value
			all = append(all, registry.KeyValue{Key: key, Value: []byte(value)})
		}
		if n, err := kv.PutAll(t.Context(), all); n != len(all) || err != nil {
			t.Fatalf("%d of %d: %v", n, len(all), err)
		}
		res, err := s.store.Range(t.Context(), registry.RangeRequest{KeyRange: registry.All()})
		if err != nil || len(res.KVs) != len(want) {
			t.Fatalf("%d keys, want %d: %v", len(res.KVs), len(want), err)
		}
		for _, kv := range res.KVs {
			if v, ok := want[kv.Key]; !ok || v != string(kv.Value) {
				t.Errorf("%q is %q, want %q", kv.Key, kv.Value, v)
			}
		}
	})
}

func TestFollow(t *testing.T) {
	c := connect(t, serve(t).url)
	ctx := t.Context()
	var got []string
	for d, err := range c.Follow(ctx, "/v1/kv/a/ key", nil, client.ReadOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(d.JSON))
		var put error
		switch len(got) {
		case 1:
			_, put = c.KV().Put(ctx, "a/ key", []byte("1"), client.PutOptions{})
		case 2:
			put = c.KV().Delete(ctx, "a/ key")
		}
		if put != nil {
			t.Fatal(put)
		}
		if len(got) == 3 {
			break
		}
	}
	if got[0] != "" || !strings.HasPrefix(got[1], "[{") || got[2] != "" {
		t.Errorf("seen: %q", got)
	}
	for _, err := range c.Follow(ctx, "/v1/bogus", nil, client.ReadOptions{}) {
		if err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("a path that is none: %v", err)
		}
	}
}
