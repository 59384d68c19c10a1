package raftstore

// StateHash returns the index of the last entry that the state contains, and a checksum of
// all that the state keeps. Servers that have applied the same entries have the same one.
// It costs as much as writing a snapshot.
func (s *Store) StateHash() (applied, hash uint64) {
	v := s.machine.View()
	return v.Applied(), v.Hash()
}
