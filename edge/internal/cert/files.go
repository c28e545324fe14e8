package cert

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/onehost/edge/core/config"
)

// maxPEM bounds a certificate or key file, in bytes: a chain of ten certificates has about 20 KiB.
const maxPEM = 1 << 20

// pair is a certificate and its key in PEM files that somebody else renews.
type pair struct {
	certFile, keyFile string

	current atomic.Pointer[tls.Certificate]

	mu   sync.Mutex     // guards what follows
	seen [2]os.FileInfo // the files as they were when they were last read; nil for one that was not there
	err  error          // of the last reading
}

func openPair(certFile, keyFile string) (*pair, error) {
	p := &pair{certFile: certFile, keyFile: keyFile}
	return p, p.refresh()
}

func (p *pair) certificate() *tls.Certificate { return p.current.Load() }

func (p *pair) lastError() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// refresh reads the files if they are not the ones that were read last. What it can't use leaves the certificate as it was.
func (p *pair) refresh() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	certInfo, _ := os.Stat(p.certFile) // reading says what is wrong with a file
	keyInfo, _ := os.Stat(p.keyFile)
	if p.current.Load() != nil && sameVersion(certInfo, p.seen[0]) && sameVersion(keyInfo, p.seen[1]) {
		return p.err
	}
	var c *tls.Certificate
	if c, p.err = readPair(p.certFile, p.keyFile); p.err == nil {
		p.current.Store(c)
	}
	p.seen = [2]os.FileInfo{certInfo, keyInfo}
	return p.err
}

// sameVersion reports whether two looks at a file saw the same content, as far as the file system can say.
func sameVersion(a, b os.FileInfo) bool {
	return a != nil && b != nil && os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

func readPair(certFile, keyFile string) (*tls.Certificate, error) {
	certPEM, err := readBounded(certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := readBounded(keyFile)
	if err != nil {
		return nil, err
	}
	c, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", certFile, keyFile, err)
	}
	return &c, nil
}

// readBounded reads a regular file of at most maxPEM bytes: a pipe could block for ever, a device never end.
func readBounded(name string) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // opening a pipe would wait for its writer
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a regular file", name)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxPEM+1))
	if err == nil && len(data) > maxPEM {
		err = fmt.Errorf("%s is larger than %d KiB: too large for a PEM file", name, maxPEM>>10)
	}
	return data, err
}

// Check reads the PEM files that cfg names, and warns of certificates that are not good for their host and of hosts
// that make a new local CA necessary.
func Check(cfg *config.Config) []config.Problem {
	var problems []config.Problem
	var local *root // nil: there is none to replace, or the start says what is wrong with it
	if certificate, _, err := ReadLocalCA(cfg.DataDir); err == nil {
		local = &root{Certificate: certificate}
	}
	for name, host := range cfg.Hosts {
		problems = append(problems, checkClientCA(cfg, name)...)
		names := append([]string{name}, host.Aliases...)
		switch {
		case host.TLS.Off:
		case host.TLS.Cert != "":
			problems = append(problems, checkFiles(cfg, name, names)...)
		case local != nil && asksLocalCA(cfg, host) && !local.permits(names):
			problems = append(problems, cfg.Warning("the local CA may not sign for "+name+": a new one is made, which every machine has to trust again (edge trust --install)", "hosts", name))
		}
	}
	return append(problems, checkIssuers(cfg)...)
}

// checkIssuers reads the roots by which private CAs are known.
func checkIssuers(cfg *config.Config) []config.Problem {
	var problems []config.Problem
	check := func(all []config.Issuer, at ...any) {
		for i, issuer := range all {
			if _, err := readRoots(issuer.CA); err != nil {
				problems = append(problems, cfg.Problem(err.Error(), append(at, i, "ca")...))
			}
		}
	}
	check(cfg.TLS.Issuers, "tls", "issuers")
	for name, host := range cfg.Hosts {
		check(host.TLS.Issuers, "hosts", name, "tls", "issuers")
	}
	return problems
}

func checkFiles(cfg *config.Config, host string, names []string) []config.Problem {
	files := cfg.Hosts[host].TLS
	c, err := readPair(files.Cert, files.Key)
	if err != nil {
		return []config.Problem{cfg.Problem(err.Error(), "hosts", host, "tls", "cert")}
	}
	var problems []config.Problem
	for _, name := range names {
		if err := goodFor(c.Leaf, name); err != nil {
			problems = append(problems, cfg.Warning(fmt.Sprintf("%s: %v", files.Cert, err), "hosts", host, "tls", "cert"))
		}
	}
	return problems
}

func goodFor(leaf *x509.Certificate, name string) error {
	if now := time.Now(); now.After(leaf.NotAfter) {
		return fmt.Errorf("the certificate ended on %s", leaf.NotAfter.UTC().Format(time.DateOnly))
	}
	return isFor(leaf, name)
}

// isFor tells whether a certificate's names are those of a configured name.
func isFor(leaf *x509.Certificate, name string) error {
	if name == "*" {
		return nil
	}
	if name[0] == '*' { // a wildcard is good for any one label
		name = "any" + name[1:]
	}
	var mismatch x509.HostnameError
	if err := leaf.VerifyHostname(name); errors.As(err, &mismatch) {
		return fmt.Errorf("the certificate is not for %s", name)
	} else if err != nil {
		return err
	}
	return nil
}
