package check

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"herald/registry"
)

// OSService is the kind that asks the system's service manager.
const OSService = "osservice"

// NewOSService makes a check of whether a service of the operating system runs: passing if it does, warning while it starts, reloads or is
// paused, else critical. Spec: service, its name.
//
// On Linux systemd is asked (systemctl), on Windows the service control manager (sc). Elsewhere the check
// is critical, and says so.
func NewOSService(d registry.CheckDefinition) (registry.Checker, error) {
	s := specOf(d, OSService)
	c := &osServiceCheck{service: s.string("service")}
	switch {
	case c.service == "":
		s.fail("service", "is missing")
	case strings.HasPrefix(c.service, "-"), strings.ContainsAny(c.service, "\x00\r\n\""):
		s.fail("service", "is not a service's name")
	}
	if err := s.done(); err != nil {
		return nil, err
	}
	return c, nil
}

type osServiceCheck struct{ service string }

func (c *osServiceCheck) Check(ctx context.Context) (registry.HealthStatus, string) {
	if len(askServiceManager) == 0 {
		return registry.Critical, fmt.Sprintf("service %s: this system has no service manager that can be asked", c.service)
	}
	cmd := exec.CommandContext(ctx, askServiceManager[0], append(askServiceManager[1:len(askServiceManager):len(askServiceManager)], c.service)...)
	cmd.WaitDelay = outputGrace
	out, err := cmd.CombinedOutput() // an exit status is not zero for a service that does not run
	if ctx.Err() != nil {
		return registry.Critical, fmt.Sprintf("service %s: the service manager has not answered: %v", c.service, ctx.Err())
	}
	state := serviceState(string(out))
	if state == "" {
		return registry.Critical, Cut(fmt.Sprintf("service %s: %v: %s", c.service, err, strings.TrimSpace(string(out))), DefaultOutputMaxSize)
	}
	status, ok := serviceStates[state]
	if !ok {
		status = registry.Critical
	}
	return status, fmt.Sprintf("service %s: %s", c.service, state)
}

// serviceStates are what states come to; those that are not named are critical.
var serviceStates = map[string]registry.HealthStatus{
	"active": registry.Passing, "activating": registry.Warning, "reloading": registry.Warning, "refreshing": registry.Warning,
	"RUNNING": registry.Passing, "START_PENDING": registry.Warning, "CONTINUE_PENDING": registry.Warning,
	"PAUSE_PENDING": registry.Warning, "PAUSED": registry.Warning,
}
