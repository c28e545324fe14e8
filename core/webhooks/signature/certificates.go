package signature

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/onehost/edge/core/fault"
)

const (
	keptFor        = 24 * time.Hour   // a certificate, unless it expires before
	failedFor      = 10 * time.Second // a fetch that failed is not tried again
	maxCertified   = 16               // addresses; providers change theirs about once a year
	maxChain       = 8                // certificates in a file
	fetchesAMinute = 20               // a forged delivery names any address on the provider's host
)

// certificates fetches the certificates of a provider, and keeps them.
type certificates struct {
	client *http.Client
	roots  *x509.CertPool // nil: the system's
	flight singleflight.Group

	mu      sync.Mutex
	kept    map[string]certified
	minute  time.Time
	fetched int // in this minute
}

// A certified is what was found at an address.
type certified struct {
	chain []*x509.Certificate // the leaf first
	err   error
	until time.Time
}

func newCertificates(client *http.Client) *certificates {
	c := &certificates{client: pinned(client), kept: map[string]certified{}}
	if client != nil {
		if t, ok := client.Transport.(*http.Transport); ok && t.TLSClientConfig != nil {
			c.roots = t.TLSClientConfig.RootCAs
		}
	}
	return c
}

// get returns the chain at an address whose host was pinned before. An error is a *Refusal or a fault.Unavailable.
func (c *certificates) get(ctx context.Context, address string) ([]*x509.Certificate, error) {
	c.mu.Lock()
	found, ok := c.kept[address]
	c.mu.Unlock()
	if ok && time.Now().Before(found.until) {
		return found.chain, found.err
	}
	apart := context.WithoutCancel(ctx) // who asked first may leave, and others wait for the same; fetch has a deadline
	done := c.flight.DoChan(address, func() (any, error) {
		return c.fetch(apart, address), nil
	})
	select {
	case result := <-done:
		found := result.Val.(certified)
		return found.chain, found.err
	case <-ctx.Done():
		return nil, fmt.Errorf("the provider's certificate: %v: %w", ctx.Err(), fault.Unavailable) //nolint:errorlint // its code is ours
	}
}

func (c *certificates) fetch(ctx context.Context, address string) certified {
	found := certified{err: fmt.Errorf("the provider's certificate: too many were asked for within a minute: %w", fault.Unavailable)}
	if c.may(time.Now()) {
		var body []byte
		if body, found.err = fetch(ctx, c.client, address); found.err == nil {
			found.chain, found.err = parseChain(body)
		}
	}
	found.until = time.Now().Add(keptFor)
	if found.err != nil {
		found.until = time.Now().Add(failedFor)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old, ok := c.kept[address]
	switch {
	case found.err != nil && old.chain != nil: // it is as good as it was, until it expires
		found.chain, found.err = old.chain, nil
	case !ok && len(c.kept) >= maxCertified:
		delete(c.kept, c.least())
	}
	c.kept[address] = found
	return found
}

// may says whether one more may be fetched in this minute.
func (c *certificates) may(now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Sub(c.minute) >= time.Minute {
		c.minute, c.fetched = now, 0
	}
	c.fetched++
	return c.fetched <= fetchesAMinute
}

// least is the address that can be done without: one with no certificate, else the oldest.
func (c *certificates) least() (address string) {
	for a, k := range c.kept {
		worst, first := c.kept[address], address == ""
		if first || k.err != nil && worst.err == nil || (k.err != nil) == (worst.err != nil) && k.until.Before(worst.until) {
			address = a
		}
	}
	return address
}

// parseChain reads certificates in PEM, the leaf first.
func parseChain(body []byte) ([]*x509.Certificate, error) {
	var chain []*x509.Certificate
	for rest := body; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			continue
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil || len(chain) == maxChain {
			return nil, refuse(WrongCertificate, "what stands at the certificate's URL is no certificate")
		}
		chain = append(chain, cert)
	}
	if len(chain) == 0 {
		return nil, refuse(WrongCertificate, "what stands at the certificate's URL is no certificate")
	}
	if k, ok := chain[0].PublicKey.(*rsa.PublicKey); !ok || k.N.BitLen() < 2048 {
		return nil, refuse(WrongCertificate, "the certificate's key is no RSA key of 2048 bits or more")
	}
	return chain, nil
}

// current refuses a certificate that is not valid at a time.
func current(cert *x509.Certificate, now time.Time) error {
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return refuse(WrongCertificate, "the certificate was valid from %s to %s", cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	}
	return nil
}

// trusted refuses a chain that no root has issued, or not for a host below domain.
func (c *certificates) trusted(chain []*x509.Certificate, domain string, now time.Time) error {
	if err := current(chain[0], now); err != nil {
		return err
	}
	between := x509.NewCertPool()
	for _, cert := range chain[1:] {
		between.AddCert(cert)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{Roots: c.roots, Intermediates: between, CurrentTime: now, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
	if err != nil {
		return refuse(WrongCertificate, "the certificate is not to be trusted: %v", err)
	}
	for _, name := range chain[0].DNSNames {
		if strings.HasSuffix(strings.ToLower(name), domain) {
			return nil
		}
	}
	return refuse(WrongCertificate, "the certificate is for no host below %s", strings.TrimPrefix(domain, "."))
}
