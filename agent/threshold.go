package agent

import "herald/registry"

// tally counts the results of a check that came in a row: those that passed,
// those that were not critical, and those that were.
type tally struct {
	passed, tolerable, failed int
}

// next is the status of a check after one more result.
//
//   - It is passing after SuccessBeforePassing results in a row that passed.
//   - It is critical after FailuresBeforeCritical critical results in a row, and if it
//     was passing, it is at warning after FailuresBeforeWarning of them.
//   - A warning result takes a passing check to warning at once. It takes a critical
//     one there after SuccessBeforePassing results in a row that were not critical.
func (t *tally) next(d *registry.CheckDefinition, status, found registry.HealthStatus) registry.HealthStatus {
	successes, failures := max(d.SuccessBeforePassing, 1), max(d.FailuresBeforeCritical, 1)
	warnAfter := d.FailuresBeforeWarning
	if warnAfter == 0 {
		warnAfter = failures
	}
	switch found {
	case registry.Passing:
		t.passed, t.tolerable, t.failed = up(t.passed), up(t.tolerable), 0
	case registry.Warning:
		t.passed, t.tolerable, t.failed = 0, up(t.tolerable), 0
	default:
		t.passed, t.tolerable, t.failed = 0, 0, up(t.failed)
	}
	switch {
	case t.failed >= failures:
		return registry.Critical
	case t.failed >= warnAfter && status == registry.Passing:
		return registry.Warning
	case t.failed > 0:
		return status
	case t.passed >= successes:
		return registry.Passing
	case status == registry.Critical && t.tolerable >= successes:
		return registry.Warning
	case status == registry.Passing && found == registry.Warning:
		return registry.Warning
	default:
		return status
	}
}

// up counts without ever running over.
func up(n int) int { return min(n+1, 1<<30) }
