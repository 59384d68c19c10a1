package agent

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"herald/agent/durable"
	"herald/registry"
)

// Where earlier versions kept a file for each registration.
const (
	serviceFiles = "services"
	checkFiles   = "checks"
)

// filesOfV1 are the registrations that an earlier version left, by their names in the
// data directory.
func (d *disk) filesOfV1() ([]string, error) {
	var names []string
	for _, kind := range []string{serviceFiles, checkFiles} {
		entries, err := os.ReadDir(filepath.Join(d.dir, kind))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), ".json") {
				names = append(names, filepath.Join(kind, e.Name()))
			}
		}
	}
	return names, nil
}

// takeOver brings such files into the journal, and removes them. What they say
// goes before what the journal has: files that are there after a journal was are
// those of an earlier version that ran since, or the same as the journal's.
func (d *disk) takeOver(names []string) error {
	if len(names) == 0 {
		return nil
	}
	var changes [][]durable.Op
	var paths []string
	for _, name := range names {
		op, err := d.readV1(name)
		if err != nil {
			return err
		}
		if op.Key == "" {
			continue // set aside
		}
		changes = append(changes, []durable.Op{op})
		paths = append(paths, filepath.Join(d.dir, name))
		d.kept[op.Key] = op.Value
	}
	if err := d.registrations.Append(changes); err != nil {
		return err
	}
	// One that stayed would bring back what is deregistered from now on.
	if err := durable.Remove(paths...); err != nil {
		return fmt.Errorf("what the journal has taken over cannot be removed: %w", err)
	}
	for _, kind := range []string{serviceFiles, checkFiles} {
		_ = os.Remove(filepath.Join(d.dir, kind)) // unless something was set aside there
	}
	d.log.Info("registrations that an earlier version kept were taken over", "file", filepath.Join(d.dir, registrationsFile), "registrations", len(changes))
	return nil
}

// readV1 is the put of what a file has, the zero Op if it is corrupt.
func (d *disk) readV1(name string) (durable.Op, error) {
	var record any
	var key string
	if filepath.Dir(name) == serviceFiles {
		var def registry.ServiceDefinition
		if ok, err := d.read(name, &def); !ok || err != nil {
			return durable.Op{}, err
		}
		record, key = def, serviceKey(def.ID)
	} else {
		var def registry.CheckDefinition
		if ok, err := d.read(name, &def); !ok || err != nil {
			return durable.Op{}, err
		}
		record, key = def, checkKey(def.ID)
	}
	value, err := json.Marshal(record)
	return durable.Op{Key: key, Value: value}, err
}
