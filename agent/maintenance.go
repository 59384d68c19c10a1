package agent

import (
	"context"
	"fmt"

	"herald/registry"
)

// The checks that maintenance mode puts on. Clients of the HTTP API look for
// them by these ids.
const (
	nodeMaintenanceID        = "_node_maintenance"
	serviceMaintenancePrefix = "_service_maintenance:"
)

// noReason stands in when maintenance is turned on without saying why.
const noReason = "maintenance mode is on; no reason was given"

// SetServiceMaintenance implements registry.Agent. It outlives a restart, and a
// new registration of the service.
func (a *Agent) SetServiceMaintenance(ctx context.Context, id string, on bool, reason string) error {
	return a.change(ctx, func(d *draft) error {
		if d.service(id) == nil {
			return fmt.Errorf("service %q: %w", id, registry.ErrServiceNotFound)
		}
		return d.setMaintenance(serviceMaintenancePrefix+id, id, "Service Maintenance Mode", on, reason)
	})
}

// SetNodeMaintenance implements registry.Agent. It outlives a restart.
func (a *Agent) SetNodeMaintenance(ctx context.Context, on bool, reason string) error {
	return a.change(ctx, func(d *draft) error {
		return d.setMaintenance(nodeMaintenanceID, "", "Node Maintenance Mode", on, reason)
	})
}

// setMaintenance adds or removes a maintenance check. Turning it on again changes
// the reason if one is given.
func (d *draft) setMaintenance(checkID, serviceID, name string, on bool, reason string) error {
	have := d.check(checkID)
	switch {
	case !on && have == nil:
		return nil
	case !on:
		d.dropCheck(checkID)
		return nil
	case reason == "" && have != nil:
		return nil
	case reason == "":
		reason = noReason
	}
	return d.putCheck(maintenanceCheck(checkID, serviceID, name, reason), owner{origin: fromAPI}, false)
}

func maintenanceCheck(checkID, serviceID, name, reason string) preparedCheck {
	return preparedCheck{def: registry.CheckDefinition{
		ID: checkID, ServiceID: serviceID, Name: name, Kind: kindMaintenance, Notes: reason, Status: registry.Critical,
	}}
}
