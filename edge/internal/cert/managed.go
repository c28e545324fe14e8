package cert

import (
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"sync"

	"github.com/caddyserver/certmagic"
)

// managed are the certificates that certmagic gets from one local CA, keeps in files and renews.
type managed struct {
	ca    *localCA
	cache *certmagic.Cache
	magic *certmagic.Config
	end   sync.Once
}

func newManaged(ca *localCA, dir string, log *slog.Logger) *managed {
	g := &managed{ca: ca}
	g.cache = certmagic.NewCache(certmagic.CacheOptions{
		GetConfigForCert: func(certmagic.Certificate) (*certmagic.Config, error) { return g.magic, nil },
		Logger:           zapOn(log),
	})
	g.magic = certmagic.New(g.cache, certmagic.Config{
		Issuers: []certmagic.Issuer{ca},
		Storage: &certmagic.FileStorage{Path: dir},
		OCSP:    certmagic.OCSPConfig{DisableStapling: true}, // the local CA has no responder
		Logger:  zapOn(log),
	})
	return g
}

// stop ends renewing. What is in memory can still be served. It may be called again.
func (g *managed) stop() {
	g.end.Do(g.cache.Stop)
}

// certificate returns the certificate of a configured name, whatever name of it (as of a wildcard) the handshake asks for.
func (g *managed) certificate(hello *tls.ClientHelloInfo, name string) (*tls.Certificate, error) {
	asked := *hello
	asked.ServerName = name
	return g.magic.GetCertificateWithContext(hello.Context(), &asked)
}

// leaf returns the newest certificate of a configured name, nil if there is none.
func (g *managed) leaf(name string) *x509.Certificate {
	var newest *x509.Certificate
	for _, c := range g.cache.AllMatchingCertificates(name) {
		if newest == nil || c.Leaf.NotAfter.After(newest.NotAfter) {
			newest = c.Leaf
		}
	}
	return newest
}
