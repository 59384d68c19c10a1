package check

import "strings"

// askServiceManager is what says how a service is, whose name follows.
var askServiceManager = []string{"systemctl", "is-active", "--"}

// serviceState is the state that the service manager printed, one word; "" if it printed something else.
func serviceState(printed string) string {
	printed = strings.TrimSpace(printed)
	if strings.ContainsAny(printed, " \n\t") {
		return ""
	}
	return printed
}
