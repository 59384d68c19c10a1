package api

import (
	"net/url"
	"slices"
	"strings"

	"herald/registry"
)

// MaxIdentity is how many bytes of an identity are kept with a change.
const MaxIdentity = 256

// claimable are the reasons that a caller may give for a change. The others are
// the servers' own: nobody may pass a change off as the end of a lease.
var claimable = []registry.Reason{registry.ReasonClient, registry.ReasonAgent, registry.ReasonCheck, registry.ReasonSessionEnd}

// FormatReason spells a reason for HeaderReason; ok is false for one that no caller
// may give.
func FormatReason(r registry.Reason) (text string, ok bool) {
	return r.String(), slices.Contains(claimable, r)
}

// ParseReason reads HeaderReason. ok is false for what no caller may give, and for
// what only a newer version knows; the request's own reason holds then.
func ParseReason(text string) (r registry.Reason, ok bool) {
	for _, r := range claimable {
		if r.String() == text {
			return r, true
		}
	}
	return 0, false
}

// FormatIdentity spells an identity for HeaderIdentity, whatever is in it.
func FormatIdentity(who string) string { return url.PathEscape(who) }

// ParseIdentity reads HeaderIdentity, cut to MaxIdentity. What is escaped wrongly is
// taken as it is.
func ParseIdentity(text string) string {
	who, err := url.PathUnescape(text)
	if err != nil {
		who = text
	}
	if len(who) > MaxIdentity {
		who = who[:MaxIdentity]
	}
	return strings.ToValidUTF8(who, "")
}
