package check

import "strings"

// askServiceManager is what says how a service is, whose name follows.
var askServiceManager = []string{"sc.exe", "query"}

// serviceState is the state that the service manager printed, as in "STATE : 4 RUNNING"; "" if it printed none.
func serviceState(printed string) string {
	for line := range strings.Lines(printed) {
		name, value, ok := strings.Cut(line, ":")
		if fields := strings.Fields(value); ok && strings.TrimSpace(name) == "STATE" && len(fields) > 1 {
			return fields[1]
		}
	}
	return ""
}
