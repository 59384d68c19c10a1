package catalog

// TopicKind says what a Topic is about.
type TopicKind uint8

// The kinds of topic.
const (
	KindServices TopicKind = iota
	KindService
	KindNodes
	KindNode
	KindChecks
)

// Topic is a part of the catalog that can be waited for.
type Topic struct {
	Kind TopicKind
	Name string // of the service or node, in any case
}

var (
	// ServicesTopic rises when a service appears or goes, and when the union of
	// a service's tags changes; not with health, nor with instances alone.
	ServicesTopic = Topic{Kind: KindServices}
	// NodesTopic rises when a node's record is written or deleted.
	NodesTopic = Topic{Kind: KindNodes}
	// ChecksTopic rises when any check is written, deleted, shown or hidden, and
	// when an instance that has checks changes its service or its tags.
	ChecksTopic = Topic{Kind: KindChecks}
)

// ServiceTopic rises with everything that an answer about the service's
// instances is made of: the instances, their checks, their nodes and those
// nodes' checks.
func ServiceTopic(name string) Topic { return Topic{KindService, fold(name)} }

// NodeTopic rises with a node's record and everything that is registered on it.
func NodeTopic(name string) Topic { return Topic{KindNode, fold(name)} }

// folded is t in the form in which topics are compared.
func (t Topic) folded() Topic {
	switch t.Kind {
	case KindService, KindNode:
		return Topic{t.Kind, fold(t.Name)}
	default:
		return Topic{Kind: min(t.Kind, KindChecks)}
	}
}
