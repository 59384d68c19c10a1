package cli

import (
	"context"
	"net"
	"strconv"

	"herald/client"
	"herald/httpserver/api"
	"herald/registry"
)

// listInstances prints the instances of one service, whatever their health.
func listInstances(ctx context.Context, c *client.Client, out *output, service string, read client.ReadOptions) error {
	entries, _, err := c.Instances(ctx, service, client.InstanceOptions{ReadOptions: read})
	if err != nil {
		return err
	}
	return out.table(entries, "ID\tNODE\tADDRESS\tSTATUS", func(line func(string, ...any)) {
		for _, e := range entries {
			line("%s\t%s\t%s\t%s", e.Service.ID, e.Node.Node, instanceAddress(e), worst(e.Checks))
		}
	})
}

func instanceAddress(e api.ServiceEntry) string {
	host := e.Service.Address
	if host == "" {
		host = e.Node.Address
	}
	return net.JoinHostPort(host, strconv.Itoa(e.Service.Port))
}

func worst(checks []api.HealthCheck) registry.HealthStatus {
	status := registry.Passing
	for _, c := range checks {
		status = status.Worse(registry.HealthStatus(c.Status))
	}
	return status
}
