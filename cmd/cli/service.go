package cli

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"herald/client"
	"herald/httpserver/api"
	"herald/registry"
	"herald/registry/definition"
)

func (p *program) serviceCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "service", Short: "List, register and deregister services"}
	r := remoteFlags(cmd)
	return group(cmd, p.serviceList(r), p.serviceRegister(r), p.serviceDeregister(r))
}

func (p *program) serviceList(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "list [SERVICE]",
		Short: "List all services, or the instances of one with their health",
		Args:  args(cobra.MaximumNArgs(1)),
	}
	out := p.outputFlag(cmd)
	consistency := consistencyFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, a []string) error {
		c, read, err := r.reader(consistency)
		if err != nil {
			return err
		}
		ctx, cancel := once(cmd)
		defer cancel()
		if len(a) == 1 {
			return listInstances(ctx, c, out, a[0], read)
		}
		services, _, err := c.Services(ctx, read)
		if err != nil {
			return err
		}
		return out.table(services, "SERVICE\tTAGS", func(line func(string, ...any)) {
			for _, name := range slices.Sorted(maps.Keys(services)) {
				line("%s\t%s", name, strings.Join(services[name], ","))
			}
		})
	}
	return cmd
}

func (p *program) serviceRegister(r *remote) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "register FILE...",
		Short: "Advertise the services of definition files through the asked process's agent",
		Long: `Advertise the services of definition files through the asked process's agent.

The files have Consul's service-definition form, as for herald agent
--config-dir; - is standard input. The agent keeps and checks the services
until they are deregistered, or with --ttl or --lease until that ends.`,
		Args: args(cobra.MinimumNArgs(1)),
	}
	o := client.RegisterOptions{ReplaceChecks: true}
	cmd.Flags().DurationVar(&o.TTL, "ttl", 0, "deregister the services after that long, each by a lease made for it")
	lease := cmd.Flags().String("lease", "", "deregister the services when that lease ends, such as one of PUT /v1/lease/grant")
	cmd.RunE = func(cmd *cobra.Command, files []string) error {
		if cmd.Flags().Changed("lease") {
			if cmd.Flags().Changed("ttl") {
				return &usageError{errors.New("--ttl makes a lease, and --lease names one: give one of them")}
			}
			id, err := api.ParseLeaseID(*lease)
			if err != nil || id == 0 {
				return &usageError{fmt.Errorf("--lease is %q: want the id of a lease", *lease)}
			}
			o.Lease = registry.LeaseID(id)
		}
		all, err := readDefinitions(cmd, files)
		if err != nil {
			return err
		}
		c, err := r.client()
		if err != nil {
			return err
		}
		for _, d := range all {
			if err := p.registerAll(cmd, c, d, o); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}

// readDefinitions reads files, all of them or none.
func readDefinitions(cmd *cobra.Command, files []string) ([]definition.Definitions, error) {
	var all []definition.Definitions
	var errs []error
	for _, file := range files {
		b, err := readFile(cmd, file)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		d, err := definition.ParseFile(file, b)
		if err != nil {
			errs = append(errs, err)
		}
		all = append(all, d)
	}
	return all, errors.Join(errs...)
}

func (p *program) registerAll(cmd *cobra.Command, c *client.Client, d definition.Definitions, o client.RegisterOptions) error {
	ctx, cancel := once(cmd)
	defer cancel()
	for _, s := range d.Services {
		document, err := definition.Marshal(s)
		if err != nil {
			return fmt.Errorf("service %q: %w", s.ID, err)
		}
		warnings, err := c.Agent().RegisterService(ctx, document, o)
		if err != nil {
			return fmt.Errorf("service %q: %w", s.ID, err)
		}
		for _, w := range warnings {
			fmt.Fprintln(p.err, "herald: warning:", w)
		}
		fmt.Fprintf(p.out, "registered %s\n", s.ID)
	}
	for _, check := range d.Checks {
		document, err := definition.MarshalCheck(check)
		if err != nil {
			return fmt.Errorf("check %q: %w", check.ID, err)
		}
		if _, err := c.Agent().RegisterCheck(ctx, document); err != nil {
			return fmt.Errorf("check %q: %w", check.ID, err)
		}
		fmt.Fprintf(p.out, "registered check %s\n", check.ID)
	}
	return nil
}

func (p *program) serviceDeregister(r *remote) *cobra.Command {
	return &cobra.Command{
		Use:   "deregister ID...",
		Short: "Withdraw services that the asked process's agent advertises, by service id",
		Args:  args(cobra.MinimumNArgs(1)),
		RunE: func(cmd *cobra.Command, ids []string) error {
			c, err := r.client()
			if err != nil {
				return err
			}
			ctx, cancel := once(cmd)
			defer cancel()
			var errs []error
			for _, id := range ids {
				if err := c.Agent().DeregisterService(ctx, id); err != nil {
					errs = append(errs, fmt.Errorf("service id %q: %w", id, err))
					continue
				}
				fmt.Fprintf(p.out, "deregistered %s\n", id)
			}
			return errors.Join(errs...)
		},
	}
}
