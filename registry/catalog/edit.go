package catalog

import (
	"slices"

	"herald/registry/cow"
)

// nodeEdit is a bucket that is being changed.
type nodeEdit struct {
	name     string // folded
	host     *Node
	revision int64
	checks   []*Check
	slots    *cow.Map[string, *Instance]

	// What the commit under way did; cleared when it is settled.
	touched       bool
	nodeTouched   bool
	node          *Node // the new record, if nodeTouched; nil if it is gone
	checksTouched bool  // checks is then the commit's own slice
	hostBefore    *Node
	pending       map[string]*slotEdit
}

func (n *nodeEdit) putNode(node *Node) { n.node, n.nodeTouched = node, true }

func (n *nodeEdit) putCheck(id string, c *Check) {
	if !n.checksTouched {
		n.checks, n.checksTouched = slices.Clone(n.checks), true
	}
	n.checks = setCheck(n.checks, id, c)
}

func (n *nodeEdit) slot(id string) *slotEdit {
	p := n.pending[id]
	if p == nil {
		if n.pending == nil {
			n.pending = map[string]*slotEdit{}
		}
		p = &slotEdit{}
		if old, ok := n.slots.Get(id); ok {
			p.checks = old.Checks
		}
		n.pending[id] = p
	}
	return p
}

// settleHost makes the host that the commit left, and reports whether it is
// another: everything on the node is then to be derived anew.
func (n *nodeEdit) settleHost() (changed bool) {
	n.hostBefore = n.host
	record := n.host
	if n.nodeTouched {
		record = n.node
	}
	if !n.nodeTouched && (!n.checksTouched || record == nil) {
		return false
	}
	if record == nil {
		n.host = nil
		return n.hostBefore != nil
	}
	n.checks = spelled(n.checks, record.Name)
	n.host = record.with(n.checks, nil)
	return true
}

// with returns the node of n's record with other checks, and with slots to look
// up what is on it.
func (n *Node) with(checks []*Check, slots *cow.Map[string, *Instance]) *Node {
	return &Node{
		Node: n.Node, CreateRevision: n.CreateRevision, ModRevision: n.ModRevision, Lease: n.Lease,
		Checks: checks, status: worst("", checks), slots: slots,
	}
}

// entry is the bucket as it has become.
func (n *nodeEdit) entry() *bucket {
	e := &bucket{host: n.host, revision: n.revision, checks: n.checks, slots: n.slots}
	if n.host != nil {
		e.view = n.host.with(n.checks, n.slots)
	}
	return e
}

// slotEdit is what a commit does to one instance.
type slotEdit struct {
	touched       bool
	instance      *Instance // the new record, if touched; nil if it is gone
	checksTouched bool
	checks        []*Check // if checksTouched the commit's own slice, else as they were
}

func (p *slotEdit) putInstance(i *Instance) { p.instance, p.touched = i, true }

func (p *slotEdit) putCheck(id string, c *Check) {
	if !p.checksTouched {
		p.checks, p.checksTouched = slices.Clone(p.checks), true
	}
	p.checks = setCheck(p.checks, id, c)
}

// derive returns the instance that old becomes on host; nil if nothing is left of
// it.
func (p *slotEdit) derive(old *Instance, host *Node) *Instance {
	record, checks := old, []*Check(nil)
	if old != nil {
		checks = old.Checks
	}
	if p.touched {
		record = p.instance
	}
	if p.checksTouched {
		checks = p.checks
	}
	if !record.recorded() {
		if len(checks) == 0 {
			return nil
		}
		return &Instance{Checks: checks}
	}
	is := *record
	is.Checks, is.Host, is.Status = checks, host, ""
	if host != nil {
		is.Node = host.Name
		is.Checks = spelled(checks, host.Name)
		is.Status = worst(host.status, checks)
	}
	return &is
}

// spelled returns checks with their node's name as the node spells it.
func spelled(checks []*Check, node string) []*Check {
	for at, c := range checks {
		if c.Node == node {
			continue
		}
		checks = slices.Clone(checks)
		for i := at; i < len(checks); i++ {
			c := *checks[i]
			c.Node = node
			checks[i] = &c
		}
		break
	}
	return checks
}

// findCheck finds a check by its id.
func findCheck(checks []*Check, id string) (at int, ok bool) {
	return slices.BinarySearchFunc(checks, id, func(c *Check, id string) int {
		switch {
		case c.ID < id:
			return -1
		case c.ID > id:
			return 1
		default:
			return 0
		}
	})
}

// setCheck puts c in its place among checks, which it may change, or removes the
// check of that id if c is nil.
func setCheck(checks []*Check, id string, c *Check) []*Check {
	at, ok := findCheck(checks, id)
	switch {
	case c == nil && ok:
		return slices.Delete(checks, at, at+1)
	case c == nil:
		return checks
	case ok:
		checks[at] = c
		return checks
	default:
		return slices.Insert(checks, at, c)
	}
}

// serviceEdit is a service that is being changed.
type serviceEdit struct {
	key, name string
	revision  int64
	instances *cow.Map[string, *Instance]
	tags      *cow.Map[string, int]

	// About the commit under way; cleared when it is settled.
	touched    bool
	existed    bool
	nameBefore string
	flips      map[string]bool // tags that came or went, and whether they were there before
}

func (s *serviceEdit) entry() *Service {
	e := &Service{Name: s.name, Revision: s.revision, key: s.key, instances: s.instances}
	if s.tags != nil && s.tags.Len() > 0 {
		e.tags = s.tags
	}
	return e
}

func (s *serviceEdit) tag(tags []string) {
	if s.tags == nil && len(tags) > 0 {
		s.tags = new(cow.Map[string, int])
	}
	for _, t := range tags {
		n, _ := s.tags.Get(t)
		if n == 0 {
			s.flip(t, false)
		}
		s.tags.Set(t, n+1)
	}
}

func (s *serviceEdit) untag(tags []string) {
	for _, t := range tags {
		n, _ := s.tags.Get(t)
		if n > 1 {
			s.tags.Set(t, n-1)
			continue
		}
		s.flip(t, true)
		s.tags.Delete(t)
	}
}

// flip notes that a tag came or went. Only the first time in a commit tells how
// it was before.
func (s *serviceEdit) flip(tag string, was bool) {
	if _, noted := s.flips[tag]; noted {
		return
	}
	if s.flips == nil {
		s.flips = map[string]bool{}
	}
	s.flips[tag] = was
}

// tagsChanged reports whether the commit changed the union of the tags.
func (s *serviceEdit) tagsChanged() bool {
	for tag, was := range s.flips {
		if _, is := s.tags.Get(tag); is != was {
			return true
		}
	}
	return false
}
