package cli

import (
	"log/slog"
	"os"
	"strings"
)

// otherVariables are those that are not settings.
var otherVariables = []string{envPrefix + "_CONFIG", envPrefix + "_SERVER", envPrefix + "_TOKEN"}

// warnOfVariables warns of environment variables that look like a slip for one of
// ours. Others that begin alike are left alone: where a service is called
// herald, orchestrators set HERALD_PORT and the like.
func (c *config) warnOfVariables(log *slog.Logger) {
	known := make(map[string]bool, len(c.all)+len(otherVariables))
	for _, s := range c.all {
		known[s.env] = true
	}
	for _, name := range otherVariables {
		known[name] = true
	}
	for _, pair := range os.Environ() {
		name, _, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, envPrefix+"_") || known[name] {
			continue
		}
		for near := range known {
			if editDistance(name, near) <= 2 {
				log.Warn("unknown environment variable is ignored", "name", name, "did_you_mean", near)
				break
			}
		}
	}
}
