package cert

import (
	"log/slog"
	"testing"

	"github.com/onehost/edge/core/config"
)

// A configuration without names for the local CA stops its renewals; the next one that has some needs them again.
func TestLocalCertificatesAreRenewedAfterAPause(t *testing.T) {
	m := New(t.TempDir(), slog.New(slog.DiscardHandler))
	t.Cleanup(m.Close)
	var stopped *managed
	for _, hosts := range []map[string]config.Host{{"localhost": {}}, {}, {"localhost": {}}} {
		set, err := m.Plan(t.Context(), &config.Config{Hosts: hosts})
		if err != nil {
			t.Fatal(err)
		}
		if set.local != nil && set.local == stopped {
			t.Error("certificates are served from what is stopped: nobody renews them")
		}
		if before := m.serving.Load().local; before != nil {
			stopped = before
		}
		m.Use(set)
	}
}
