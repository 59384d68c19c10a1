package document

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"
)

func renderJSON(tree map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(tree)
	return b.Bytes(), err
}

// parseJSON reads tokens, since a map would hide a name that is there twice.
func parseJSON(b []byte, k *keys) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	if err := jsonValue(d, k, nil); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("%w: there is more after the document", ErrDocument)
	}
	return nil
}

func jsonValue(d *json.Decoder, k *keys, path []string) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	switch v := t.(type) {
	case nil:
		return noKey(path, "null")
	case json.Delim:
		if v != '{' {
			return noKey(path, "a list")
		}
	default:
		return k.set(path, fmt.Sprint(v))
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		p, err := below(path, fmt.Sprint(name))
		if err != nil {
			return err
		}
		if err := jsonValue(d, k, p); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func renderYAML(tree map[string]any) ([]byte, error) {
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(yamlMap(tree)); err != nil {
		return nil, err
	}
	err := e.Close()
	return b.Bytes(), err
}

// yamlMap is a tree as it is to be encoded, in order of its names.
func yamlMap(tree map[string]any) *yaml.Node {
	m := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	for _, name := range slices.Sorted(maps.Keys(tree)) {
		m.Content = append(m.Content, yamlText(name), yamlNode(tree[name]))
	}
	return m
}

func yamlNode(v any) *yaml.Node {
	switch v := v.(type) {
	case map[string]any:
		return yamlMap(v)
	case string:
		return yamlText(v)
	case float64: // plain, where the encoder would take an exponent
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: floatText(v)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(v)}
	default: // int64, see scalar
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: fmt.Sprint(v)}
	}
}

// yamlText is quoted, in names and in values, where the encoder does so by itself (what would be a number, or was a
// boolean before YAML 1.2), and also where that goes over several lines or has other bytes than characters, which YAML's blocks do not
// all give back, and the mark of a merge.
func yamlText(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	encoded := &yaml.Node{}
	if err := encoded.Encode(s); err != nil || encoded.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0 || s == "<<" {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, r := range s {
		if r < ' ' || r >= 0x7f {
			n.Style = yaml.DoubleQuotedStyle
			break
		}
	}
	return n
}

// parseYAML walks nodes, since a scalar's text is what it is in the document.
func parseYAML(b []byte, k *keys) error {
	d := yaml.NewDecoder(bytes.NewReader(b))
	var doc, more yaml.Node
	if err := d.Decode(&doc); err != nil {
		return err
	}
	if err := d.Decode(&more); err != io.EOF {
		return fmt.Errorf("%w: there is more after the document", ErrDocument)
	}
	return yamlValue(doc.Content[0], k, nil)
}

func yamlValue(n *yaml.Node, k *keys, path []string) error {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			if name.Kind != yaml.ScalarNode || name.ShortTag() == "!!merge" {
				return noKey(path, "a mapping with names that are no text")
			}
			p, err := below(path, name.Value)
			if err != nil {
				return err
			}
			if err := yamlValue(n.Content[i+1], k, p); err != nil {
				return err
			}
		}
		return nil
	case yaml.SequenceNode:
		return noKey(path, "a list")
	case yaml.AliasNode:
		return noKey(path, "an alias of something else")
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return k.set(path, n.Value)
	}
	return noKey(path, "a "+n.ShortTag())
}

func renderTOML(tree map[string]any) ([]byte, error) { return toml.Marshal(tree) }

func parseTOML(b []byte, k *keys) error {
	var tree map[string]any
	if err := toml.Unmarshal(b, &tree); err != nil {
		return err
	}
	return tomlTable(tree, k, nil)
}

func tomlTable(tree map[string]any, k *keys, path []string) error {
	for name, v := range tree {
		p, err := below(path, name)
		if err != nil {
			return err
		}
		switch v := v.(type) {
		case map[string]any:
			err = tomlTable(v, k, p)
		case []any:
			err = noKey(p, "a list")
		case time.Time:
			err = k.set(p, v.Format(time.RFC3339Nano))
		default:
			err = k.set(p, text(v))
		}
		if err != nil {
			return err
		}
	}
	return nil
}
