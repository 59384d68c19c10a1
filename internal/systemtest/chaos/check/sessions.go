package check

// sessions checks the sessions of the HTTP API: what holds for leases and locks, and that a lock
// which its holder lost is not to be had before the lock delay is over.
func (e *evidence) sessions() Verdict {
	v := Verdict{Of: "holders of locks, renewals, and deaths of sessions"}
	delays := e.holders(&v, true)
	held := v.Checked
	e.lives(&v, true)
	v.note("%d held a lock for certain, and %d lost it so that others had to wait for the lock delay", held, delays)
	return v
}
