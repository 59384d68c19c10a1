package cli

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// section is a struct of settings and where it belongs in the tree of names.
type section struct {
	prefix     string // "doors.http."
	flagPrefix string // "http-"
	target     any    // pointer to the struct, filled with its defaults
}

// setting is one leaf of that tree.
type setting struct {
	name    string // doors.http.address
	flag    string // http-address
	env     string // HERALD_DOORS_HTTP_ADDRESS
	usage   string
	initial any
}

// describe lists the settings of a section, in the order of its fields. A field
// of a kind that settings cannot have is a mistake of the program.
func (s section) describe() []setting {
	return walk(s.prefix, s.flagPrefix, reflect.ValueOf(s.target).Elem())
}

func walk(prefix, flagPrefix string, v reflect.Value) []setting {
	var all []setting
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key, ok := field.Tag.Lookup("config")
		if !ok {
			continue
		}
		name, flag := prefix+key, flagPrefix+hyphens(key)
		if f, ok := field.Tag.Lookup("flag"); ok {
			flag = f
		}
		value := v.Field(i)
		switch {
		case value.Kind() == reflect.Struct:
			all = append(all, walk(name+".", flag+"-", value)...)
		case value.Kind() == reflect.Map: // the place of a plugin's section
		default:
			all = append(all, newSetting(name, flag, field.Tag.Get("usage"), value.Interface()))
		}
	}
	return all
}

func newSetting(name, flag, usage string, initial any) setting {
	return setting{name: name, flag: flag, env: envName(name), usage: usage, initial: initial}
}

func hyphens(s string) string { return strings.ReplaceAll(s, "_", "-") }

const envPrefix = "HERALD"

func envName(name string) string {
	return envPrefix + "_" + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

// addTo makes the setting's flag.
func (s setting) addTo(f *pflag.FlagSet) {
	switch v := s.initial.(type) {
	case bool:
		f.Bool(s.flag, v, s.usage)
	case string:
		f.String(s.flag, v, s.usage)
	case int:
		f.Int(s.flag, v, s.usage)
	case int64:
		f.Int64(s.flag, v, s.usage)
	case uint64:
		f.Uint64(s.flag, v, s.usage)
	case float64:
		f.Float64(s.flag, v, s.usage)
	case time.Duration:
		f.Duration(s.flag, v, s.usage)
	case []string:
		f.StringSlice(s.flag, v, s.usage)
	default:
		panic(fmt.Sprintf("setting %s is a %T: settings are bool, string, int, int64, uint64, float64, time.Duration or []string", s.name, v))
	}
}
