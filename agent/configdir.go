package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"herald/registry"
	"herald/registry/definition"
)

// fileDefinitions is what the configuration files define, prepared.
type fileDefinitions struct {
	services []prepared
	checks   []preparedCheck
}

// Reload reads the configuration files again and makes what they define what they
// defined before: checks whose definition stayed the same run on. It is all or
// nothing: on an error, which names the file, everything stays as it was.
func (a *Agent) Reload(ctx context.Context) error {
	files, err := a.readConfigDirs()
	if err != nil {
		return fmt.Errorf("nothing was reloaded: %w", err)
	}
	err = a.change(ctx, func(d *draft) error {
		return d.replaceAll(owner{origin: fromFile}, files.services, files.checks)
	})
	if err != nil {
		return fmt.Errorf("nothing was reloaded: %w", err)
	}
	return nil
}

// readConfigDirs reads and prepares every definition of every directory.
func (a *Agent) readConfigDirs() (fileDefinitions, error) {
	var all fileDefinitions
	var problems []error // of all files: a user mends them in one go
	read := fileSet{agent: a, services: map[string]string{}, checks: map[string]string{}, names: map[string]*service{}}
	for _, def := range a.cfg.Services {
		d := def
		read.names[d.Instance("").ID] = &service{def: d}
	}
	type lone struct {
		path string
		def  registry.CheckDefinition
	}
	var lones []lone
	for _, dir := range a.cfg.ConfigDirs {
		paths, err := definitionFiles(dir)
		if err != nil {
			problems = append(problems, err)
		}
		for _, path := range paths {
			defs, err := parseFile(path)
			if err != nil {
				problems = append(problems, err)
				continue
			}
			for _, w := range defs.Warnings {
				a.log.Warn("configuration file", "file", path, "warning", w)
			}
			for _, def := range defs.Services {
				p, err := read.service(path, def)
				if err != nil {
					problems = append(problems, err)
					continue
				}
				all.services = append(all.services, p)
			}
			for _, def := range defs.Checks {
				lones = append(lones, lone{path, def})
			}
		}
	}
	// Checks last: the service one names may be in a later file.
	for _, l := range lones {
		p, err := read.check(l.path, l.def)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		all.checks = append(all.checks, p)
	}
	if len(problems) > 0 {
		return fileDefinitions{}, errors.Join(problems...)
	}
	return all, nil
}

// fileSet knows which file defines which id.
type fileSet struct {
	agent            *Agent
	services, checks map[string]string // id to path
	names            map[string]*service
}

func (f *fileSet) service(path string, def registry.ServiceDefinition) (prepared, error) {
	p, err := f.agent.prepareService(def, owner{origin: fromFile})
	if err != nil {
		return prepared{}, fmt.Errorf("%s: %w", path, err)
	}
	if first, taken := f.services[p.def.ID]; taken {
		return prepared{}, duplicate(registry.ErrDuplicateService, "service", p.def.ID, first, path)
	}
	f.services[p.def.ID] = path
	f.names[p.def.ID] = &service{def: p.def}
	for _, c := range p.checks {
		if first, taken := f.checks[c.def.ID]; taken {
			return prepared{}, duplicate(registry.ErrInvalidDefinition, "check", c.def.ID, first, path)
		}
		f.checks[c.def.ID] = path
	}
	// The names' warnings come first; the parser has its own of those, told already.
	for _, w := range p.warnings[len(definition.NameWarnings(p.def)):] {
		f.agent.log.Warn("configuration file", "file", path, "warning", w)
	}
	return p, nil
}

func (f *fileSet) check(path string, def registry.CheckDefinition) (preparedCheck, error) {
	p, warnings, err := f.agent.prepareLoneCheck(def, owner{origin: fromFile}, func(id string) *service { return f.names[id] })
	if errors.Is(err, registry.ErrServiceNotFound) {
		return preparedCheck{}, fmt.Errorf("%s: %w: no configuration file defines it", path, err)
	}
	if err != nil {
		return preparedCheck{}, fmt.Errorf("%s: %w", path, err)
	}
	if first, taken := f.checks[p.def.ID]; taken {
		return preparedCheck{}, duplicate(registry.ErrInvalidDefinition, "check", p.def.ID, first, path)
	}
	f.checks[p.def.ID] = path
	for _, w := range warnings {
		f.agent.log.Warn("configuration file", "file", path, "warning", w)
	}
	return p, nil
}

func duplicate(kind error, what, id, first, second string) error {
	if first == second {
		return fmt.Errorf("%w: %s defines %s %q twice", kind, first, what, id)
	}
	return fmt.Errorf("%w: both %s and %s define %s %q; give one of them another id", kind, first, second, what, id)
}

// definitionFiles lists the *.json files of a directory by name. Other files are
// left alone, but one that is surely meant as a definition is refused.
func definitionFiles(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("configuration directory: %w", err)
	}
	var paths []string
	var problems []error
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".hcl":
			problems = append(problems, fmt.Errorf("%s: %w: files in HCL are not read; write it in JSON and remove this one", path, registry.ErrInvalidDefinition))
		case ".json":
			if !e.IsDir() {
				paths = append(paths, path)
			}
		}
	}
	slices.Sort(paths)
	return paths, errors.Join(problems...)
}

func parseFile(path string) (definition.Definitions, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return definition.Definitions{}, fmt.Errorf("configuration file: %w", err)
	}
	return definition.ParseFile(path, b)
}
