package cert_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/edge/internal/cert"
)

func TestHandshakesForNoHostAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		m, err := cert.New(t.TempDir(), cert.Sharing{}, slog.New(slog.NewTextHandler(&log, nil)))
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		ask := func(name string) string {
			log.Reset()
			c, err := m.TLS().GetCertificate(&tls.ClientHelloInfo{ServerName: name})
			if c != nil || err != nil {
				t.Errorf("%q: %v, %v", name, c, err)
			}
			return log.String()
		}
		if got := ask("Old.example"); !strings.Contains(got, `level=INFO msg="TLS handshake for a name that is no host" name=old.example others_since_last=0`) {
			t.Errorf("the first: %q", got)
		}
		for range 3 {
			time.Sleep(10 * time.Second)
			if got := ask("other.example"); got != "" {
				t.Errorf("within a minute: %q", got)
			}
		}
		time.Sleep(30 * time.Second)
		if got := ask("a\x1b[2J\n\"é.example"); !strings.Contains(got, `name="a?[2j?\"?.example" others_since_last=3`) {
			t.Errorf("after a minute: %q", got)
		}
		time.Sleep(time.Minute)
		if got := ask(strings.Repeat("a", 60000)); strings.Count(got, "a") > 300 || !strings.Contains(got, strings.Repeat("a", 253)) {
			t.Errorf("a long name: %d bytes", len(got))
		}
	})
}
