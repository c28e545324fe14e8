package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/front"
	"github.com/onehost/edge/edge/internal/target"
	"github.com/prometheus/client_golang/prometheus"
)

// server answers the operator.
var _ admin.Operations = (*server)(nil)

// Serving is false from the moment that the server is asked to stop.
func (s *server) Serving() bool { return !s.draining.Load() }

// Status returns the state of the server.
func (s *server) Status() admin.Status {
	s.mu.Lock()
	g, refused := s.current, s.refused
	s.mu.Unlock()
	st := admin.Status{
		State:       "serving",
		Version:     version().Version,
		PID:         os.Getpid(),
		Started:     s.started.UTC(),
		Files:       g.cfg.Files,
		Loaded:      g.loaded.UTC(),
		ReloadError: refused,
		FilesDiffer: fingerprintOf(g.cfg.Files) != g.files,
		Hosts:       len(g.cfg.Hosts),
		Store:       s.store.status(),
		Attention:   []string{},
	}
	if s.draining.Load() {
		st.State = "draining"
	}
	for _, ln := range s.listeners.HTTPS {
		st.Listeners = append(st.Listeners, admin.Listener{Name: "https", Address: ln.Addr().String()})
	}
	for _, ln := range s.listeners.HTTP {
		st.Listeners = append(st.Listeners, admin.Listener{Name: "http", Address: ln.Addr().String()})
	}
	for _, pc := range s.listeners.QUIC {
		st.Listeners = append(st.Listeners, admin.Listener{Name: "h3", Address: pc.LocalAddr().String()})
	}
	if s.listeners.Metrics != nil {
		st.Listeners = append(st.Listeners, admin.Listener{Name: "metrics", Address: s.listeners.Metrics.Addr().String()})
	}
	st.Listeners = append(st.Listeners, admin.Listener{Name: "admin", Address: "unix:" + s.admin.Addr().String()})
	open := s.front.Connections()
	st.Connections = map[string]int{"h1": open.HTTP1, "h2": open.HTTP2, "h3": open.HTTP3, "idle": open.Idle}
	for _, group := range s.groups.Status() {
		if group.Gone {
			continue
		}
		for _, t := range group.Targets {
			st.Targets++
			if t.State == target.Healthy || t.State == target.Unavailable { // unavailable: health is off
				st.Healthy++
			}
		}
	}
	for _, m := range s.matters() {
		st.Red, st.Attention = true, append(st.Attention, m.text)
	}
	return st
}

// attention says what is the matter with a certificate.
func attention(c cert.Status) string {
	what := fmt.Sprintf("the certificate of %s ends at %s", c.Host, c.NotAfter.Format(time.RFC3339))
	switch {
	case c.NotAfter.IsZero():
		what = c.Host + " has no certificate"
	case time.Now().After(c.NotAfter):
		what = fmt.Sprintf("the certificate of %s ended at %s", c.Host, c.NotAfter.Format(time.RFC3339))
	}
	if c.Error == "" {
		return what
	}
	return what + ": " + c.Error
}

// Certificates returns what is known of every certificate.
func (s *server) Certificates() []cert.Status { return s.certs.Status() }

// RenewCertificate gets a new certificate for a host at once.
func (s *server) RenewCertificate(ctx context.Context, host string) error {
	err := s.certs.Renew(ctx, host)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cert.ErrNoHost):
		return &admin.Error{Code: fault.NotFound, Message: err.Error()}
	case errors.Is(err, cert.ErrNotManaged):
		return &admin.Error{Code: fault.Invalid, Message: err.Error()}
	default:
		return &admin.Error{Code: fault.Unavailable, Message: err.Error()}
	}
}

// CheckStore looks for damage in the store.
func (s *server) CheckStore(ctx context.Context) error {
	if err := s.store.Check(ctx); err != nil {
		return &admin.Error{Code: fault.CodeOf(err), Message: err.Error()}
	}
	return nil
}

// Targets returns every target group.
func (s *server) Targets() []target.GroupStatus { return s.groups.Status() }

// AddTarget adds a target to a group.
func (s *server) AddTarget(group, url string, weight int) error {
	return coded(s.groups.Add(group, url, weight))
}

// DrainTarget lets a target finish what it has.
func (s *server) DrainTarget(group, url string) error { return coded(s.groups.Drain(group, url)) }

// RemoveTarget drains a target and forgets it.
func (s *server) RemoveTarget(group, url string) error { return coded(s.groups.Remove(group, url)) }

// coded gives the errors of target groups their codes.
func coded(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, target.ErrNoGroup), errors.Is(err, target.ErrNoTarget):
		return &admin.Error{Code: fault.NotFound, Message: err.Error()}
	default:
		return &admin.Error{Code: fault.Invalid, Message: err.Error()}
	}
}

// connections reports a front's connections to Prometheus.
type connections struct{ front *front.Server }

// Describe and Collect make connections a prometheus.Collector.
func (c connections) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect reports how many connections there are.
func (c connections) Collect(ch chan<- prometheus.Metric) {
	n := c.front.Connections()
	open := prometheus.NewDesc("edge_connections", "Open connections, by protocol; tls: in a handshake.", []string{"protocol"}, nil)
	ch <- prometheus.MustNewConstMetric(open, prometheus.GaugeValue, float64(n.HTTP1), "h1")
	ch <- prometheus.MustNewConstMetric(open, prometheus.GaugeValue, float64(n.HTTP2), "h2")
	ch <- prometheus.MustNewConstMetric(open, prometheus.GaugeValue, float64(n.HTTP3), "h3")
	ch <- prometheus.MustNewConstMetric(open, prometheus.GaugeValue, float64(n.Open-n.HTTP1-n.HTTP2-n.HTTP3), "tls")
	idle := prometheus.NewDesc("edge_connections_idle", "Open connections that wait for a request.", nil, nil)
	ch <- prometheus.MustNewConstMetric(idle, prometheus.GaugeValue, float64(n.Idle))
	accepted := prometheus.NewDesc("edge_connections_accepted_total", "Connections accepted.", nil, nil)
	ch <- prometheus.MustNewConstMetric(accepted, prometheus.CounterValue, float64(n.Accepted))
	failed := prometheus.NewDesc("edge_tls_handshake_errors_total", "TLS handshakes that failed.", nil, nil)
	ch <- prometheus.MustNewConstMetric(failed, prometheus.CounterValue, float64(n.HandshakeErrors))
	overShare := prometheus.NewDesc("edge_connections_over_share_total", "Connections closed because their client had its share of all.", nil, nil)
	ch <- prometheus.MustNewConstMetric(overShare, prometheus.CounterValue, float64(n.OverShare))
	turnedAway := prometheus.NewDesc("edge_connections_turned_away_total", "Connections closed before their handshake, because more came than can be computed.", nil, nil)
	ch <- prometheus.MustNewConstMetric(turnedAway, prometheus.CounterValue, float64(n.TurnedAway))
}
