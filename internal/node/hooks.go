package node

import (
	"time"

	"herald/agent"
	"herald/raftstore"
	"herald/registry"
)

// storeHooks makes metrics of what the store says of itself.
func (m *metrics) storeHooks() raftstore.Hooks {
	var (
		commands  = m.counterAdd("herald_raft_commands_total", "Commands handed to raft.")
		bytes     = m.counterAdd("herald_raft_entry_bytes_total", "Bytes of the log entries that held them.")
		expired   = m.counterAdd("herald_leases_expired_total", "Leases that ended because nobody renewed them.")
		commit    = m.Histogram("herald_raft_commit_seconds", "From handing a log entry to raft until it is applied.").With()
		appended  = m.Histogram("herald_raft_append_seconds", "Durable appends to the log.").With()
		applied   = m.Histogram("herald_raft_apply_seconds", "Applying and publishing one batch of log entries.").With()
		snapshots = m.Histogram("herald_raft_snapshot_seconds", "Writing one snapshot.", "outcome")
		changes   = m.Counter("herald_raft_leadership_changes_total", "How often this server gained or lost leadership.", "to")
	)
	return raftstore.Hooks{
		Proposed: func(n, size int) {
			commands(n)
			bytes(size)
		},
		Committed: func(took time.Duration) { commit.Observe(took.Seconds()) },
		Appended:  func(_ int, took time.Duration) { appended.Observe(took.Seconds()) },
		Applied:   func(_ int, took time.Duration) { applied.Observe(took.Seconds()) },
		Snapshot:  func(took time.Duration, err error) { snapshots.With(outcome(err)).Observe(took.Seconds()) },
		Leader: func(leading bool) {
			if leading {
				changes.With("leader").Inc()
			} else {
				changes.With("follower").Inc()
			}
		},
		LeasesEnded: expired,
	}
}

// agentHooks makes metrics of what the agent does.
func (m *metrics) agentHooks() agent.Hooks {
	var (
		runs      = m.Histogram("herald_agent_check_seconds", "Runs of health checks.", "kind", "status")
		advertise = m.Histogram("herald_agent_advertise_seconds", "Bringing the catalog in line with what is advertised.", "outcome")
		keepalive = m.Histogram("herald_agent_keepalive_seconds", "Renewals of the agent's lease.", "outcome")
	)
	return agent.Hooks{
		CheckRun: func(kind string, found registry.HealthStatus, took time.Duration) {
			runs.With(kind, string(found)).Observe(took.Seconds())
		},
		Advertised: func(took time.Duration, err error) { advertise.With(outcome(err)).Observe(took.Seconds()) },
		KeptAlive:  func(took time.Duration, err error) { keepalive.With(outcome(err)).Observe(took.Seconds()) },
	}
}

func outcome(err error) string {
	if err != nil {
		return "error"
	}
	return "ok"
}
