package api

// TargetGroup is an instance as GET /v1/sd/prometheus lists it, in the form of
// Prometheus's HTTP service discovery.
type TargetGroup struct {
	// Targets is the instance's address with its port.
	Targets []string `json:"targets"`
	// Labels are named as those of Prometheus's consul_sd_configs.
	Labels map[string]string `json:"labels"`
}
