//go:build linux

package lab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// tools are what the lab cannot do without, and the Debian packages they are in.
var tools = map[string]string{
	"ip": "iproute2", "nft": "nftables", "fsfreeze": "util-linux", "nsenter": "util-linux",
	"mount": "mount", "mkfs.ext4": "e2fsprogs",
}

// checkMachine says what the machine lacks.
func checkMachine() error {
	var errs []error
	if os.Geteuid() != 0 {
		errs = append(errs, errors.New("it must run as root, to make network namespaces and mounts"))
	}
	for tool, pkg := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			errs = append(errs, fmt.Errorf("%s is missing: install %s", tool, pkg))
		}
	}
	return errors.Join(errs...)
}

// run runs a tool; its error says what the tool said.
func run(name string, args ...string) error { return runWith("", name, args...) }

func runWith(stdin, name string, args ...string) error {
	_, err := output(stdin, name, args...)
	return err
}

func output(stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out, said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &said
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(said.Bytes()))
	}
	return out.String(), nil
}
