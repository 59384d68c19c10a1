package api

// Event is what was fired at whoever listens to its name.
type Event struct {
	ID      string
	Name    string
	Payload []byte // null if it has none
	// NodeFilter, ServiceFilter and TagFilter are regular expressions; "" lets
	// everyone pass. TagFilter is of the tags of the services that pass ServiceFilter.
	NodeFilter    string
	ServiceFilter string
	TagFilter     string
	Version       int
	LTime         uint64 // rises from event to event
}
