package workload

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"herald/httpserver/api"
	"herald/internal/systemtest/chaos/history"
)

// httpReadStep reads one register over HTTP.
func httpReadStep(key string) step {
	return func(ctx context.Context, s *server, o *history.KV) error {
		path := "/v1/kv/" + key
		if o.Mode != history.Default {
			path += "?" + string(o.Mode)
		}
		a, err := s.send(ctx, http.MethodGet, path, nil)
		if err != nil {
			return err
		}
		cell, err := cellOf(key, a)
		if err != nil {
			return err
		}
		o.Got = []history.Cell{cell}
		o.Age = time.Duration(a.uint(api.HeaderLastContact)) * time.Millisecond
		return nil
	}
}

// cellOf reads the answer to a GET of one key.
func cellOf(key string, a *answer) (history.Cell, error) {
	cell := history.Cell{Key: key}
	if a.status == http.StatusNotFound {
		return cell, nil
	}
	var found []api.KVPair
	if err := json.Unmarshal(a.body, &found); err != nil || len(found) != 1 || found[0].Key != key {
		return cell, fmt.Errorf("GET of key %s: answer %.200q is not that key", key, a.body)
	}
	cell.Value, cell.Rev = string(found[0].Value), int64(found[0].ModifyIndex)
	return cell, nil
}

// httpWriteStep writes or deletes one register over HTTP, if its conditions hold.
func httpWriteStep(ctx context.Context, s *server, o *history.KV) error {
	w := o.Set[0]
	path := "/v1/kv/" + w.Key
	if len(o.If) > 0 {
		path = fmt.Sprintf("%s?cas=%d", path, o.If[0].Rev)
	}
	method, body := http.MethodPut, any(w.Value)
	if w.Delete {
		method, body = http.MethodDelete, nil
	}
	a, err := s.send(ctx, method, path, body)
	if err != nil {
		return err
	}
	took, err := a.yes()
	o.Missed = !took
	return err
}
