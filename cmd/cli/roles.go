package cli

// roles are what a process can be started as.
var roles = []string{"dev", "server", "agent"}

// startFrom takes the defaults of a role, where they differ.
func (c *config) startFrom(role string) {
	c.role = role
	switch role {
	case "dev":
		// Not the host's name: an agent beside it takes that.
		c.override("node.name", "dev")
		c.override("node.address", "127.0.0.1")
		c.override("log.level", "warn")
	case "agent":
		// An agent holds no catalog of its own to answer DNS from.
		c.override("doors.dns.enabled", false)
		// Nor a store for etcd's clients.
		c.override("doors.etcd.enabled", false)
	}
}
