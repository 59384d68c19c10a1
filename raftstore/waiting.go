package raftstore

// Waiting says, in words for people, what this server waits for to find its place in a
// cluster: "" once it has one. That a leader could not be asked yet is not of it, unless
// that has lasted.
func (s *Store) Waiting() string {
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	switch said, held := s.members.said, s.members.held; {
	case held == "":
		return said
	case said == "":
		return held
	default:
		return said + ": " + held
	}
}
