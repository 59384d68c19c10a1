package api

// AgentHost is what GET /v1/agent/host answers.
type AgentHost struct {
	Memory         *HostMemory // null where it is not known
	CPU            []HostCPU
	Host           HostInfo
	Disk           *struct{} // null: it is not known which disk is meant
	CollectionTime int64     // nanoseconds since 1970
	Errors         []string
}

// HostMemory is a host's memory, in bytes.
type HostMemory struct {
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
	Free      uint64 `json:"free"`
}

// HostCPU is a host's processors.
type HostCPU struct {
	Cores int `json:"cores"`
}

// HostInfo is what a host calls itself.
type HostInfo struct {
	Hostname   string `json:"hostname"`
	OS         string `json:"os"`
	KernelArch string `json:"kernelArch"`
}

// AgentMetrics is what GET /v1/agent/metrics answers. Counters and samples are those
// since the process began.
type AgentMetrics struct {
	Timestamp string
	Gauges    []MetricGauge
	Points    []struct{} // always empty
	Counters  []MetricSample
	Samples   []MetricSample
}

// MetricGauge is the value of a gauge.
type MetricGauge struct {
	Name   string
	Value  float64
	Labels map[string]string
}

// MetricSample is a counter, or what was observed.
type MetricSample struct {
	Name   string
	Count  uint64
	Sum    float64
	Mean   float64
	Labels map[string]string
}
