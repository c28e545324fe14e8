package target

import "github.com/prometheus/client_golang/prometheus"

var (
	healthyDesc  = newDesc("edge_target_healthy", "1 when the target is healthy or its health is not checked, else 0.")
	inFlightDesc = newDesc("edge_target_in_flight", "Requests that the target is working on.")
	requestsDesc = newDesc("edge_target_requests_total", "Requests given to the target, failed attempts to connect included.")
	errorsDesc   = newDesc("edge_target_connect_errors_total", "Attempts to connect to the target that failed.")
)

// newDesc describes a metric of targets. Its labels are names from the configuration and what an operator adds.
func newDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"group", "target"}, nil)
}

// Describe implements prometheus.Collector.
func (g *Groups) Describe(c chan<- *prometheus.Desc) {
	c <- healthyDesc
	c <- inFlightDesc
	c <- requestsDesc
	c <- errorsDesc
}

// Collect implements prometheus.Collector.
func (g *Groups) Collect(c chan<- prometheus.Metric) {
	type series struct{ group, target string }
	seen := map[series]bool{}
	for _, group := range g.Status() {
		for _, t := range group.Targets {
			// A target may drain while one of the same URL is registered anew: the registered one comes first and counts.
			if seen[series{group.Group, t.Target}] {
				continue
			}
			seen[series{group.Group, t.Target}] = true
			switch t.State {
			case Healthy, Unavailable:
				c <- prometheus.MustNewConstMetric(healthyDesc, prometheus.GaugeValue, 1, group.Group, t.Target)
			case Initial, Unhealthy:
				c <- prometheus.MustNewConstMetric(healthyDesc, prometheus.GaugeValue, 0, group.Group, t.Target)
			case Draining, Unused: // meant to be out: no cause for an alarm
			}
			c <- prometheus.MustNewConstMetric(inFlightDesc, prometheus.GaugeValue, float64(t.InFlight), group.Group, t.Target)
			c <- prometheus.MustNewConstMetric(requestsDesc, prometheus.CounterValue, float64(t.Requests), group.Group, t.Target)
			c <- prometheus.MustNewConstMetric(errorsDesc, prometheus.CounterValue, float64(t.ConnectErrors), group.Group, t.Target)
		}
	}
}
