package raftstore

// Waiting says, in words for people, what this server waits for to find its place in a
// cluster: "" once it has one.
func (s *Store) Waiting() string {
	s.members.mu.Lock()
	defer s.members.mu.Unlock()
	return s.members.said
}
