package node

import (
	"errors"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"herald/registry/plugin"
)

// metrics is the process's metrics, on a Prometheus registry of its own so that
// several nodes in one test process do not share any.
type metrics struct {
	reg *prometheus.Registry
}

var _ plugin.Metrics = (*metrics)(nil)

func newMetrics(version, node string) *metrics {
	m := &metrics{reg: prometheus.NewRegistry()}
	m.reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name:        "herald_build_info",
		Help:        "Always 1; its labels say what runs.",
		ConstLabels: prometheus.Labels{"version": version, "node": node},
	})
	info.Set(1)
	m.reg.MustRegister(info)
	return m
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{Registry: m.reg})
}

// samples are the values of every metric.
func (m *metrics) samples() ([]plugin.Sample, error) {
	families, err := m.reg.Gather()
	if err != nil {
		return nil, err
	}
	var all []plugin.Sample
	for _, f := range families {
		for _, one := range f.GetMetric() {
			s := plugin.Sample{Name: f.GetName(), Labels: map[string]string{}}
			for _, l := range one.GetLabel() {
				s.Labels[l.GetName()] = l.GetValue()
			}
			switch {
			case one.GetCounter() != nil:
				s.Kind, s.Value = plugin.SampleCounter, one.GetCounter().GetValue()
			case one.GetHistogram() != nil:
				s.Kind, s.Value, s.Count = plugin.SampleHistogram, one.GetHistogram().GetSampleSum(), one.GetHistogram().GetSampleCount()
			case one.GetSummary() != nil:
				s.Kind, s.Value, s.Count = plugin.SampleHistogram, one.GetSummary().GetSampleSum(), one.GetSummary().GetSampleCount()
			default:
				s.Value = one.GetGauge().GetValue()
			}
			all = append(all, s)
		}
	}
	return all, nil
}

// register returns c, or the collector that was registered under its name before.
func register[T prometheus.Collector](m *metrics, c T) T {
	err := m.reg.Register(c)
	var twice prometheus.AlreadyRegisteredError
	if errors.As(err, &twice) {
		if first, ok := twice.ExistingCollector.(T); ok {
			return first
		}
	}
	if err != nil {
		// The name is taken by a metric of another kind or with other labels: a
		// mistake in the program, found the first time it runs.
		panic(err)
	}
	return c
}

func (m *metrics) Counter(name, help string, labels ...string) plugin.Counter {
	return counter{register(m, prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels))}
}

// counterAdd makes a counter without labels that goes up by any number.
func (m *metrics) counterAdd(name, help string) func(n int) {
	c := register(m, prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help}))
	return func(n int) { c.Add(float64(n)) }
}

func (m *metrics) Histogram(name, help string, labels ...string) plugin.Histogram {
	opts := prometheus.HistogramOpts{
		Name: name, Help: help,
		// From 25 µs, an answer from memory, to 10 s, the longest a client waits.
		Buckets: []float64{.000025, .0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}
	return histogram{register(m, prometheus.NewHistogramVec(opts, labels))}
}

func (m *metrics) Gauge(name, help string, read func() float64) {
	register(m, prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

type counter struct{ vec *prometheus.CounterVec }

func (c counter) With(values ...string) interface{ Inc() } { return c.vec.WithLabelValues(values...) }

type histogram struct{ vec *prometheus.HistogramVec }

func (h histogram) With(values ...string) interface{ Observe(seconds float64) } {
	return h.vec.WithLabelValues(values...)
}
