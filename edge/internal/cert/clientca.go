package cert

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/onehost/edge/core/config"
)

const (
	// maxClientChain is how many certificates there may be from a client's own to that of its root, as ALB has it
	// (quotas for Application Load Balancers, mutual TLS).
	maxClientChain = 4
	// maxClientCANames bounds the names of authorities that are sent in every handshake, in bytes: clients refuse
	// messages of more than 64 KiB.
	maxClientCANames = 32 << 10
)

// A clientCA is the authorities of one PEM file (hosts.NAME.tls.client_ca). A host that has one is served to those alone
// who show a certificate for client authentication that one of them vouches for, as in ALB's verify mode. Other authorities
// don't count, those of the system neither.
type clientCA struct {
	file string
	base *tls.Config

	current atomic.Pointer[clientTerms]

	mu   sync.Mutex  // guards what follows
	seen os.FileInfo // the file as it was when it was last read; nil if it was not there
	err  error       // of the last reading
}

// clientTerms is what one reading of the file means for a handshake and for the requests after it.
type clientTerms struct {
	config *tls.Config
	roots  map[string]bool // by DER
}

// openClientCA reads file. Handshakes are what base says, but for the client's certificate and for resumption: a session
// goes on from one connection to the next without the certificate being looked at, so there is none, as in ALB.
func openClientCA(file string, base *tls.Config) (*clientCA, error) {
	ca := &clientCA{file: file, base: base}
	return ca, ca.refresh()
}

// config is built once for each version of the file.
func (ca *clientCA) config() *tls.Config { return ca.current.Load().config }

// admits reports whether a connection, whose handshake may be long ago, showed a certificate that the authorities vouch for as
// they are now: who is taken out of the file is out.
func (ca *clientCA) admits(state *tls.ConnectionState) bool {
	if ca == nil {
		return false
	}
	roots := ca.current.Load().roots
	for _, chain := range state.VerifiedChains {
		if len(chain) <= maxClientChain && roots[string(chain[len(chain)-1].Raw)] {
			return true
		}
	}
	return false
}

// lastError is nil for a host without client_ca, too.
func (ca *clientCA) lastError() error {
	if ca == nil {
		return nil
	}
	ca.mu.Lock()
	defer ca.mu.Unlock()
	return ca.err
}

// refresh reads the file if it is not the one that was read last. What it can't use leaves the authorities as they were.
func (ca *clientCA) refresh() error {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	info, _ := os.Stat(ca.file) // reading says what is wrong with it
	if ca.current.Load() != nil && sameVersion(info, ca.seen) {
		return ca.err
	}
	ca.seen = info
	var authorities []*x509.Certificate
	if authorities, ca.err = readClientCA(ca.file); ca.err == nil {
		ca.current.Store(newClientTerms(ca.base, authorities))
	}
	return ca.err
}

func newClientTerms(base *tls.Config, authorities []*x509.Certificate) *clientTerms {
	terms := &clientTerms{config: base.Clone(), roots: make(map[string]bool)}
	pool := x509.NewCertPool()
	for _, a := range authorities {
		pool.AddCert(a)
		terms.roots[string(a.Raw)] = true
	}
	terms.config.ClientAuth = tls.RequireAndVerifyClientCert
	terms.config.ClientCAs = pool
	terms.config.SessionTicketsDisabled = true
	terms.config.VerifyConnection = checkClientChain
	return terms
}

// checkClientChain runs after crypto/tls found chains to an authority.
func checkClientChain(state tls.ConnectionState) error {
	for _, chain := range state.VerifiedChains {
		if len(chain) <= maxClientChain {
			return nil
		}
	}
	return fmt.Errorf("the client's certificate chain has more than %d certificates", maxClientChain)
}

func readClientCA(file string) ([]*x509.Certificate, error) {
	data, err := readBounded(file)
	if err != nil {
		return nil, err
	}
	authorities, err := parseClientCA(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return authorities, nil
}

// parseClientCA accepts certificates of authorities in PEM; between them may stand text, as such bundles have it.
func parseClientCA(data []byte) ([]*x509.Certificate, error) {
	var authorities []*x509.Certificate
	begun, names := bytes.Count(data, []byte("-----BEGIN ")), 0
	for {
		block, rest := pem.Decode(data) // passes over what is broken
		if block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("there is a %s, and only certificates belong here", block.Type)
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("certificate %d: %w", len(authorities)+1, err)
		}
		if !c.BasicConstraintsValid || !c.IsCA {
			return nil, fmt.Errorf("certificate %d (%s) is not one of a certificate authority", len(authorities)+1, c.Subject)
		}
		authorities = append(authorities, c)
		names += len(c.RawSubject) + 2
		data = rest
	}
	switch {
	case begun > len(authorities):
		return nil, fmt.Errorf("%d certificates begin in it, of which %d are whole", begun, len(authorities))
	case len(authorities) == 0:
		return nil, errors.New("there is no certificate in it: it has to be a PEM file of certificate authorities")
	case names > maxClientCANames:
		return nil, fmt.Errorf("%d authorities are too many: their names are sent in every handshake, and take %d KiB; %d are fine", len(authorities), names>>10, maxClientCANames>>10)
	}
	return authorities, nil
}

// checkClientCA says what is wrong with the client_ca of a host of cfg.
func checkClientCA(cfg *config.Config, host string) []config.Problem {
	file := cfg.Hosts[host].TLS.ClientCA
	if file == "" {
		return nil
	}
	authorities, err := readClientCA(file)
	if err != nil {
		return []config.Problem{cfg.Problem(err.Error(), "hosts", host, "tls", "client_ca")}
	}
	var problems []config.Problem
	for _, a := range authorities {
		if time.Now().After(a.NotAfter) {
			problems = append(problems, cfg.Warning(fmt.Sprintf("%s: %s ended on %s: its clients are refused", file, a.Subject, a.NotAfter.UTC().Format(time.DateOnly)), "hosts", host, "tls", "client_ca"))
		}
	}
	return problems
}
