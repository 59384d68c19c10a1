package api

// Coordinate is a position in network space, from which distances are estimated.
type Coordinate struct {
	Vec        []float64
	Error      float64
	Adjustment float64
	Height     float64
}

// CoordinateEntry is the coordinate of one node.
type CoordinateEntry struct {
	Node    string
	Segment string
	Coord   *Coordinate
}

// CoordinateDatacenter is the coordinates of one datacenter's servers.
type CoordinateDatacenter struct {
	Datacenter  string
	AreaID      string
	Coordinates []CoordinateEntry
}
