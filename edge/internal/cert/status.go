package cert

import (
	"crypto/x509"
	"maps"
	"slices"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/prometheus/client_golang/prometheus"
)

// Status is what is known of the certificate of one name.
type Status struct {
	Host        string    `json:"host"`
	Issuer      string    `json:"issuer"`           // common name of who signed it; "" when there is no certificate
	Source      string    `json:"source"`           // "local", or the certificate's file
	Serial      string    `json:"serial,omitempty"` // hexadecimal
	NotBefore   time.Time `json:"not_before"`
	NotAfter    time.Time `json:"not_after"`
	NextRenewal time.Time `json:"next_renewal,omitzero"` // when it will be replaced; zero for files, which edge does not renew
	Error       string    `json:"error,omitempty"`       // why it could not be read or renewed the last time
}

// Status returns what is known of every served name, in order.
func (m *Manager) Status() []Status {
	set := m.serving.Load()
	all := make([]Status, 0, len(set.names))
	for _, name := range slices.Sorted(maps.Keys(set.names)) {
		all = append(all, set.status(set.names[name]))
	}
	return all
}

func (set *Set) status(s *source) Status {
	st := Status{Host: s.name, Source: "local"}
	if s.files != nil {
		st.Source = s.files.certFile
		if err := s.files.lastError(); err != nil {
			st.Error = err.Error()
		}
	}
	leaf := set.leaf(s)
	if leaf == nil {
		return st
	}
	st.Issuer = leaf.Issuer.CommonName
	st.Serial = leaf.SerialNumber.Text(16)
	st.NotBefore, st.NotAfter = leaf.NotBefore.UTC(), leaf.NotAfter.UTC()
	if s.files == nil {
		life := leaf.NotAfter.Sub(leaf.NotBefore)
		st.NextRenewal = leaf.NotAfter.Add(-time.Duration(float64(life) * certmagic.DefaultRenewalWindowRatio)).UTC()
	}
	return st
}

// leaf returns the certificate that s is served under, nil if there is none.
func (set *Set) leaf(s *source) *x509.Certificate {
	if s.files == nil {
		return set.local.leaf(s.name)
	}
	if c := s.files.certificate(); c != nil {
		return c.Leaf
	}
	return nil
}

// notAfter is named in the product's contract.
var notAfter = prometheus.NewDesc("edge_cert_not_after_seconds", "When the certificate of a host ends, in seconds since the Unix epoch.", []string{"host"}, nil)

// Describe and Collect make Manager a prometheus.Collector.
func (m *Manager) Describe(ch chan<- *prometheus.Desc) { ch <- notAfter }

// Collect reports when each host's certificate ends.
func (m *Manager) Collect(ch chan<- prometheus.Metric) {
	set := m.serving.Load()
	for _, s := range set.names {
		if leaf := set.leaf(s); leaf != nil {
			ch <- prometheus.MustNewConstMetric(notAfter, prometheus.GaugeValue, float64(leaf.NotAfter.Unix()), s.name)
		}
	}
}
