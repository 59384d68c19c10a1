package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"herald/internal/node"
	"herald/registry/plugin"
)

// config is the settings of one process: what there are, where they were set, and
// the doors and sources they are for.
type config struct {
	core     *settings
	doors    []node.NamedDoor
	sources  []node.NamedSource
	sections []section
	all      []setting // in the order they are shown
	viper    *viper.Viper
	flags    *pflag.FlagSet
	file     string
	level    slog.LevelVar  // of the log; the one setting of the process itself that may change while it runs
	loaded   map[string]any // what every setting was when load returned, by name
	role     string         // what the process is started as; see roles
}

// newConfig lists every setting there is, at its default.
func newConfig(reg *plugin.Registry, flags *pflag.FlagSet) *config {
	core := defaultSettings()
	c := &config{core: &core, viper: viper.New(), flags: flags, role: "server"}
	c.all = section{target: c.core}.describe()
	for _, info := range reg.Doors() {
		d := info.New()
		c.doors = append(c.doors, node.NamedDoor{Name: info.Name, Door: d})
		c.addSection("doors."+info.Name+".", info.Name+"-", d.Config(), "open the door "+info.Name, true)
	}
	for _, info := range reg.Sources() {
		s := info.New()
		c.sources = append(c.sources, node.NamedSource{Name: info.Name, Source: s})
		c.addSection("sources."+info.Name+".", info.Name+"-", s.Config(), "use the service source "+info.Name, false)
	}
	c.viper.SetEnvPrefix(envPrefix)
	c.viper.SetEnvKeyReplacer(strings.NewReplacer(".", "_", "-", "_"))
	c.viper.AutomaticEnv()
	for _, s := range c.all {
		c.viper.SetDefault(s.name, s.initial)
	}
	return c
}

func (c *config) addSection(prefix, flagPrefix string, target any, enabledUsage string, enabled bool) {
	s := section{prefix: prefix, flagPrefix: flagPrefix, target: target}
	c.sections = append(c.sections, s)
	c.all = append(c.all, newSetting(prefix+"enabled", flagPrefix+"enabled", enabledUsage, enabled))
	c.all = append(c.all, s.describe()...)
}

// override changes a default, for commands that start from another one.
func (c *config) override(name string, value any) {
	i := slices.IndexFunc(c.all, func(s setting) bool { return s.name == name })
	if i < 0 {
		return // a setting of a door that is not compiled in
	}
	c.all[i].initial = value
	c.viper.SetDefault(name, value)
}

// addFlags makes a flag of every setting, and --config.
func (c *config) addFlags() {
	c.flags.StringVar(&c.file, "config", "", "configuration file (YAML, TOML or JSON, by its extension)")
	for _, s := range c.all {
		s.addTo(c.flags)
	}
}

// load brings every setting to its effective value.
func (c *config) load() error {
	for _, s := range c.all {
		if f := c.flags.Lookup(s.flag); f != nil {
			if err := c.viper.BindPFlag(s.name, f); err != nil {
				return err
			}
		}
	}
	if c.file == "" {
		c.file = os.Getenv(envPrefix + "_CONFIG")
	}
	if c.file != "" {
		c.viper.SetConfigFile(c.file)
		if err := c.viper.ReadInConfig(); err != nil {
			return fileError(c.file, err)
		}
		if err := c.checkNames(); err != nil {
			return err
		}
	}
	if err := c.viper.UnmarshalExact(c.core, asSettings); err != nil {
		return c.explain(err)
	}
	for _, s := range c.sections {
		if err := c.decodeSection(s); err != nil {
			return c.explain(err)
		}
	}
	if err := c.validate(); err != nil {
		return err
	}
	c.loaded = c.values()
	return nil
}

// values are the settings as they were decoded, by name.
func (c *config) values() map[string]any {
	all := make(map[string]any, len(c.all))
	for _, s := range c.all {
		all[s.name] = c.viper.GetBool(s.name) // "enabled" of a plugin: what is not in a struct
	}
	for _, s := range append([]section{{target: c.core}}, c.sections...) {
		for _, leaf := range s.describe() {
			all[leaf.name] = leaf.initial
		}
	}
	return all
}

func asSettings(d *mapstructure.DecoderConfig) {
	d.TagName = "config"
	d.DecodeHook = decodeHook
}

// decodeHook reads durations and lists as files and the environment spell them.
var decodeHook = mapstructure.ComposeDecodeHookFunc(
	durationsHaveUnits, mapstructure.StringToTimeDurationHookFunc(), mapstructure.StringToSliceHookFunc(","))

// durationsHaveUnits refuses a bare number, which would be taken for nanoseconds.
func durationsHaveUnits(from, to reflect.Type, data any) (any, error) {
	if to != reflect.TypeFor[time.Duration]() || from == to {
		return data, nil
	}
	text := fmt.Sprint(data)
	if n, err := strconv.ParseFloat(text, 64); err == nil && n != 0 {
		return nil, fmt.Errorf("the duration %s has no unit: write %ss for seconds", text, text)
	}
	return text, nil
}

// decodeSection decodes what was set under a plugin's prefix onto its settings.
func (c *config) decodeSection(s section) error {
	values := map[string]any{}
	for _, leaf := range s.describe() {
		putPath(values, strings.TrimPrefix(leaf.name, s.prefix), c.viper.Get(leaf.name))
	}
	d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
		Result: s.target, TagName: "config", ErrorUnused: true, WeaklyTypedInput: true,
		DecodeHook: decodeHook,
	})
	if err != nil {
		return err
	}
	if err := d.Decode(values); err != nil {
		return fmt.Errorf("%s: %w", strings.TrimSuffix(s.prefix, "."), err)
	}
	return nil
}

// putPath sets a.b.c in nested maps.
func putPath(m map[string]any, path string, value any) {
	for {
		head, rest, nested := strings.Cut(path, ".")
		if !nested {
			m[head] = value
			return
		}
		inner, ok := m[head].(map[string]any)
		if !ok {
			inner = map[string]any{}
			m[head] = inner
		}
		m, path = inner, rest
	}
}

// checkNames refuses names in the file that no setting has.
func (c *config) checkNames() error {
	inFile := viper.New()
	inFile.SetConfigFile(c.file)
	if err := inFile.ReadInConfig(); err != nil {
		return fileError(c.file, err)
	}
	known := make(map[string]bool, len(c.all))
	for _, s := range c.all {
		known[s.name] = true
	}
	var errs []error
	for _, name := range slices.Sorted(slices.Values(inFile.AllKeys())) {
		if !known[name] {
			errs = append(errs, fmt.Errorf("unknown setting %q in %s%s", name, c.file, c.suggest(name)))
		}
	}
	return errors.Join(errs...)
}

// suggest names the setting that a wrong name was most likely meant to be.
func (c *config) suggest(name string) string {
	for _, s := range c.all {
		if strings.HasPrefix(s.name, name+".") {
			return fmt.Sprintf("; it is a group of settings, such as %q", s.name)
		}
	}
	best, distance := "", len(name)/2+1
	for _, s := range c.all {
		if d := editDistance(name, s.name); d < distance {
			best, distance = s.name, d
		}
	}
	if best == "" {
		return "; `herald config show` lists them all"
	}
	return fmt.Sprintf("; did you mean %q?", best)
}

// editDistance is Levenshtein's: insertions, deletions and substitutions.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// explain says which setting a decoding error is about in the words of the user.
func (c *config) explain(err error) error {
	if c.file == "" {
		return fmt.Errorf("settings: %w", err)
	}
	return fmt.Errorf("settings (flags, environment, %s): %w", c.file, err)
}

// validate checks what can be checked without starting anything, and drops the
// doors and sources that are not enabled.
func (c *config) validate() error {
	var errs []error
	if _, err := parseLevel(c.core.Log.Level); err != nil {
		errs = append(errs, err)
	}
	if f := c.core.Log.Format; f != "text" && f != "json" {
		errs = append(errs, fmt.Errorf("log.format is %q: it is text or json", f))
	}
	errs = append(errs, c.core.validate()...)
	c.doors = slices.DeleteFunc(c.doors, func(d node.NamedDoor) bool { return !c.enabled("doors", d.Name) })
	for _, d := range c.doors {
		if err := d.Door.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("doors.%s: %w", d.Name, err))
		}
	}
	c.sources = slices.DeleteFunc(c.sources, func(s node.NamedSource) bool { return !c.enabled("sources", s.Name) })
	for _, s := range c.sources {
		if err := s.Source.Validate(); err != nil {
			errs = append(errs, fmt.Errorf("sources.%s: %w", s.Name, err))
		}
	}
	return errors.Join(errs...)
}

// fileError names the file once.
func fileError(file string, err error) error {
	if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
		return fmt.Errorf("configuration file %w", pe)
	}
	return fmt.Errorf("configuration file %s: %w", file, err)
}

func (c *config) enabled(kind, name string) bool {
	return c.viper.GetBool(kind + "." + name + ".enabled")
}

// effective is one setting as it stands.
type effective struct {
	Name   string `json:"name"`
	Value  any    `json:"value"`
	Source string `json:"source"`
}

// effective lists every setting with its value and where it came from.
func (c *config) effective() []effective {
	list := make([]effective, 0, len(c.all))
	for _, s := range c.all {
		list = append(list, effective{Name: s.name, Value: plain(c.viper.Get(s.name)), Source: c.source(s)})
	}
	return list
}

// source mirrors the order in which viper looks.
func (c *config) source(s setting) string {
	if f := c.flags.Lookup(s.flag); f != nil && f.Changed {
		return "flag --" + s.flag
	}
	if v, ok := os.LookupEnv(s.env); ok && v != "" {
		return "environment " + s.env
	}
	if c.viper.InConfig(s.name) {
		return "file " + c.file
	}
	return "default"
}

// plain makes values that format well both as text and as JSON.
func plain(v any) any {
	if s, ok := v.(fmt.Stringer); ok {
		return s.String()
	}
	return v
}

// flagOf names the flag of a setting.
func (c *config) flagOf(name string) string {
	for _, s := range c.all {
		if s.name == name {
			return "--" + s.flag
		}
	}
	return ""
}

var errNoDataDir = errors.New("no data directory: set data_dir (flag --data-dir)")
