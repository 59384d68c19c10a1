package cli

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/spf13/cobra"
)

func (p *program) healthCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "health",
		Short: "Say whether the asked process is ready; the exit status says it too",
		Args:  args(cobra.NoArgs),
	}
	r := remoteFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := r.client()
		if err != nil {
			return err
		}
		ctx, cancel := once(cmd)
		defer cancel()
		url := c.Addresses()[0] + "/readyz"
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return err
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			reason := make([]byte, 512)
			n, _ := resp.Body.Read(reason)
			return errors.New("not ready: " + strings.TrimSpace(string(reason[:n])))
		}
		fmt.Fprintln(p.out, "ready")
		return nil
	}
	return cmd
}
