package cert

import (
	"crypto/x509"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Status is what is known of the certificate of one name.
type Status struct {
	Host        string    `json:"host"`
	Issuer      string    `json:"issuer"`           // common name of who signed it; "" when there is no certificate
	Source      string    `json:"source"`           // the issuer as the configuration names it (letsencrypt, local, a directory's URL), or the certificate's file
	Serial      string    `json:"serial,omitempty"` // hexadecimal
	NotBefore   time.Time `json:"not_before,omitzero"`
	NotAfter    time.Time `json:"not_after,omitzero"`
	NextRenewal time.Time `json:"next_renewal,omitzero"`         // when it will be replaced; zero for files, which edge does not renew
	Explanation string    `json:"renewal_explanation,omitempty"` // URL of the CA's page on why then (RFC 9773)
	Error       string    `json:"error,omitempty"`               // why it could not be read, got or renewed the last time, each issuer in its own words; also of those for which a later one stepped in
	Failing     bool      `json:"failing"`                       // that is not over: there is no good certificate, or the next one could not be got, or files can't be read
	NextTry     time.Time `json:"next_try,omitzero"`             // while it fails
	Red         bool      `json:"red"`                           // needs a person: nothing good is served, the local CA stands in for another issuer, less than a third of its life is left and getting the next one fails, or client_ca can't be read
}

// Status returns what is known of every served name, in order.
func (m *Manager) Status() []Status {
	set := m.serving.Load()
	all := make([]Status, 0, len(set.names))
	for _, name := range slices.Sorted(maps.Keys(set.names)) {
		all = append(all, set.names[name].status())
	}
	return all
}

func (s *source) status() Status {
	st := Status{Host: s.name}
	if leaf := s.leaf(); leaf != nil {
		st.Issuer = oneLine(leaf.Issuer.CommonName)
		st.Serial = leaf.SerialNumber.Text(16)
		st.NotBefore, st.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	}
	if s.files != nil {
		st.Source = s.files.certFile
		if err := s.files.lastError(); err != nil {
			st.Error, st.Failing = oneLine(err.Error()), true
		}
	} else {
		s.managed.describe(&st)
	}
	if err := s.clients.lastError(); err != nil {
		st.Error, st.Failing = strings.TrimPrefix(st.Error+"; "+oneLine(err.Error()), "; "), true
	}
	left := time.Until(st.NotAfter)
	st.Red = st.Red || s.clients.lastError() != nil || left <= 0 || st.Failing && left < st.NotAfter.Sub(st.NotBefore)/3
	if s.managed != nil && st.Error == "" && st.Issuer == "" { // the first order is under way
		st.Red = false
	}
	return st
}

// describe adds what only the keeper of a certificate knows.
func (n *managed) describe(st *Status) {
	n.mu.Lock()
	defer n.mu.Unlock()
	st.Source = n.issuers[0].name
	h := n.serving.Load()
	issued := h != nil && h.from != nil
	if issued {
		st.Source = h.from.name
		st.NextRenewal, st.Explanation = n.renewal.at.UTC(), n.renewal.explanation
	}
	var said []string
	for _, from := range append([]*issuer{{}}, n.issuers...) {
		t, failed := n.tries[from.name]
		if !failed {
			continue
		}
		said = append(said, strings.TrimPrefix(from.name+": "+t.reason, ": "))
		if t.count > 0 && (!st.Failing || t.next.Before(st.NextTry)) {
			st.Failing, st.NextTry = true, t.next.UTC()
		}
	}
	st.Error = strings.Join(said, "; ")
	if issued && h.from.acme == nil && h.from != n.issuers[0] {
		st.Red = true // visitors are warned of it
	}
	if st.Failing && st.NextTry.After(st.NextRenewal) || st.NextRenewal.Before(time.Now()) {
		st.NextRenewal = st.NextTry
	}
}

// leaf returns the certificate that s is served under, nil if there is none.
func (s *source) leaf() *x509.Certificate {
	if c := s.certificate(); c != nil {
		return c.Leaf
	}
	return nil
}

// The metrics. Their names are part of the product's contract.
var (
	notAfter    = prometheus.NewDesc("edge_cert_not_after_seconds", "When the certificate of a host ends, in seconds since the Unix epoch.", []string{"host"}, nil)
	nextRenewal = prometheus.NewDesc("edge_cert_next_renewal_seconds", "When the certificate of a host is due to be replaced, in seconds since the Unix epoch.", []string{"host"}, nil)
	failing     = prometheus.NewDesc("edge_cert_failing", "1 while the next certificate of a host can't be got or its files can't be read; 0 otherwise.", []string{"host"}, nil)
)

// Describe and Collect make Manager a prometheus.Collector.
func (m *Manager) Describe(ch chan<- *prometheus.Desc) {
	ch <- notAfter
	ch <- nextRenewal
	ch <- failing
}

// Collect reports when each host's certificate ends, when it is replaced, and whether that fails.
func (m *Manager) Collect(ch chan<- prometheus.Metric) {
	for _, st := range m.Status() {
		gauge := func(desc *prometheus.Desc, value float64) {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, st.Host)
		}
		if st.Issuer != "" || !st.NotAfter.IsZero() {
			gauge(notAfter, float64(st.NotAfter.Unix()))
		}
		if !st.NextRenewal.IsZero() {
			gauge(nextRenewal, float64(st.NextRenewal.Unix()))
		}
		if st.Failing {
			gauge(failing, 1)
		} else {
			gauge(failing, 0)
		}
	}
}
