package storetest

import (
	"container/heap"
	"time"

	"herald/registry"
)

// deadlines is when leases end, earliest first. Its owner guards it.
type deadlines struct {
	queue deadlineQueue
	byID  map[registry.LeaseID]*deadline
}

type deadline struct {
	id    registry.LeaseID
	at    time.Time
	place int // in the queue
}

func newDeadlines() deadlines {
	return deadlines{byID: make(map[registry.LeaseID]*deadline)}
}

// set gives a lease a deadline, and reports whether it is now the earliest.
func (d *deadlines) set(id registry.LeaseID, at time.Time) bool {
	if have := d.byID[id]; have != nil {
		have.at = at
		heap.Fix(&d.queue, have.place)
	} else {
		have = &deadline{id: id, at: at}
		d.byID[id] = have
		heap.Push(&d.queue, have)
	}
	return d.queue[0].id == id
}

func (d *deadlines) remove(id registry.LeaseID) {
	if have := d.byID[id]; have != nil {
		heap.Remove(&d.queue, have.place)
		delete(d.byID, id)
	}
}

// of is the deadline of a lease, false if it has none.
func (d *deadlines) of(id registry.LeaseID) (time.Time, bool) {
	have := d.byID[id]
	if have == nil {
		return time.Time{}, false
	}
	return have.at, true
}

func (d *deadlines) earliest() (time.Time, bool) {
	if len(d.queue) == 0 {
		return time.Time{}, false
	}
	return d.queue[0].at, true
}

// popUntil removes and returns the leases whose deadline is not after now,
// earliest first.
func (d *deadlines) popUntil(now time.Time) []registry.LeaseID {
	var ids []registry.LeaseID
	for len(d.queue) > 0 && !d.queue[0].at.After(now) {
		first := heap.Pop(&d.queue).(*deadline)
		delete(d.byID, first.id)
		ids = append(ids, first.id)
	}
	return ids
}

// deadlineQueue is a heap.Interface, by deadline, and by id where those are equal.
type deadlineQueue []*deadline

func (q deadlineQueue) Len() int { return len(q) }

func (q deadlineQueue) Less(i, j int) bool {
	if c := q[i].at.Compare(q[j].at); c != 0 {
		return c < 0
	}
	return q[i].id < q[j].id
}

func (q deadlineQueue) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].place, q[j].place = i, j
}

func (q *deadlineQueue) Push(x any) {
	d := x.(*deadline)
	d.place = len(*q)
	*q = append(*q, d)
}

func (q *deadlineQueue) Pop() any {
	last := len(*q) - 1
	d := (*q)[last]
	(*q)[last] = nil
	*q = (*q)[:last]
	return d
}
