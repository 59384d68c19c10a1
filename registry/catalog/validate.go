package catalog

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"herald/registry"
)

// MaxNameBytes bounds the names that keys are made of: nodes, instance ids,
// services and check ids.
const MaxNameBytes = 1024

// ValidateNode says why n cannot be written. Errors wrap registry.ErrInvalid.
func ValidateNode(n registry.Node) error {
	return validateName("node name", n.Name)
}

// ValidateInstance says why i cannot be written. Errors wrap
// registry.ErrInvalid.
func ValidateInstance(i registry.Instance) error {
	if err := validateName("node name", i.Node); err != nil {
		return err
	}
	if err := validateName("service name", i.Service); err != nil {
		return err
	}
	if err := validateName("instance id", i.ID); err != nil {
		return err
	}
	if i.Port < 0 || i.Port > 65535 {
		return fmt.Errorf("%w: instance %q has port %d, which is not within 0 to 65535", registry.ErrInvalid, i.ID, i.Port)
	}
	for tag, a := range i.TaggedAddresses {
		if a.Port < 0 || a.Port > 65535 {
			return fmt.Errorf("%w: instance %q has port %d for address %q, which is not within 0 to 65535",
				registry.ErrInvalid, i.ID, a.Port, tag)
		}
	}
	const most = 1<<31 - 1
	if i.Weights.Passing < 0 || i.Weights.Passing > most || i.Weights.Warning < 0 || i.Weights.Warning > most {
		return fmt.Errorf("%w: instance %q has a weight below 0 or above %d", registry.ErrInvalid, i.ID, most)
	}
	return nil
}

// ValidateCheck says why c cannot be written. Errors wrap registry.ErrInvalid.
func ValidateCheck(c registry.Check) error {
	if err := validateName("node name", c.Node); err != nil {
		return err
	}
	if err := validateName("check id", c.ID); err != nil {
		return err
	}
	if c.ServiceID != "" {
		return validateName("instance id", c.ServiceID)
	}
	return nil
}

func validateName(what, name string) error {
	problem := ""
	switch {
	case name == "":
		problem = "is empty"
	case len(name) > MaxNameBytes:
		problem = fmt.Sprintf("has %d bytes, above %d", len(name), MaxNameBytes)
	case strings.Contains(name, separator):
		problem = "contains a NUL"
	case !utf8.ValidString(name):
		problem = "is not UTF-8"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s %.64q %s", registry.ErrInvalid, what, name, problem)
}
