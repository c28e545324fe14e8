package cert

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

const (
	leafLifetime = 30 * 24 * time.Hour
	clockSlack   = time.Hour // certificates begin this much earlier, for clocks that are behind
)

// localCA is a certificate authority for machines whose owner trusts it by hand. Hosts that share a store have one root, sealed there,
// and sign with it each for itself; the files in dir are this host's copy.
type localCA struct {
	agreement
	dir      string
	log      *slog.Logger
	names    func() []string // those that are served and ask for it
	replaced func()          // there is another root: what is served has to be signed by it

	current atomic.Pointer[root] // nil before open
	mu      sync.Mutex           // held while another root takes its place
}

func localCAPath(dataDir string) string { return filepath.Join(dataDir, "ca") }

// ReadLocalCA returns the root certificate of the local CA below dataDir and the file that it is in.
// The error is fs.ErrNotExist when no certificate was ever asked of it.
func ReadLocalCA(dataDir string) (*x509.Certificate, string, error) {
	file := filepath.Join(localCAPath(dataDir), rootCertFile)
	data, err := readBounded(file)
	if err != nil {
		return nil, file, err
	}
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, file, fmt.Errorf("%s holds no PEM certificate", file)
	}
	root, err := x509.ParseCertificate(block.Bytes)
	return root, file, err
}

func newLocalCA(dir string, log *slog.Logger) *localCA {
	return &localCA{agreement: newAgreement(), dir: dir, log: log}
}

// open has the CA have a root that may sign for all names. It waits for the store until ctx ends, and not at all if the root that is
// in use is good for them.
func (ca *localCA) open(ctx context.Context, names []string) error {
	if len(names) == 0 || ca.current.Load().goodFor(names) {
		return nil
	}
	if ca.current.Load() == nil {
		kept, err := readRoot(ca.dir)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		ca.current.CompareAndSwap(nil, kept)
	}
	return ca.settle(ctx, names)
}

// Run has the hosts have one root until ctx is done.
func (ca *localCA) Run(ctx context.Context) { ca.run(ctx, ca.agree, ca.takeUp) }

func (ca *localCA) agree(ctx context.Context) {
	if names := ca.names(); len(names) > 0 {
		if err := ca.settle(ctx, names); err != nil {
			ca.log.Error("the local CA is not what it should be; what it has signed serves on", "err", err)
		}
	}
}

// takeUp takes up what another host has made of the root, if it is good for the names of this one.
func (ca *localCA) takeUp(ctx context.Context) {
	before := ca.current.Load()
	if before == nil {
		return // nobody asks for it
	}
	if theirs, _, err := ca.theirs(ctx); err == nil && theirs.goodFor(ca.names()) {
		if _, err := ca.take(before, theirs); err != nil {
			ca.log.Error("the local CA that hosts share can't be taken up; this host's signs on", "err", err)
		}
	}
}

// settle finds the root that is good for names, and for those of all hosts if it has to be another one, and takes it up.
func (ca *localCA) settle(ctx context.Context, names []string) error {
	for {
		before := ca.current.Load()
		best, err := ca.best(ctx, before, names)
		if err != nil {
			return err
		}
		if done, err := ca.take(before, best); done || err != nil {
			return err
		}
	}
}

// best returns the root that the store has, or has it have own or a new one. While the store is away it is own or a new one all the same.
func (ca *localCA) best(ctx context.Context, own *root, names []string) (*root, error) {
	if ca.shared != nil {
		err := ca.attempt(ctx, func(ctx context.Context) error {
			theirs, version, err := ca.theirs(ctx)
			if err != nil {
				return err
			}
			if theirs.goodFor(names) {
				own = theirs
				return nil
			}
			all := slices.Concat(names, theirs.names())
			if !own.goodFor(all) {
				made, err := newRoot(all)
				if err != nil {
					return err
				}
				own = made
			}
			value, err := own.encode()
			if err != nil {
				return err
			}
			return ca.shared.Swap(ctx, version, value)
		})
		if err != nil {
			ca.log.Info("the local CA is not shared at the moment; this host goes on with its own", "err", err)
		}
	}
	if own.goodFor(names) {
		return own, nil
	}
	if ca.shared != nil {
		names = slices.Concat(names, own.names()) // also those of other hosts
	}
	return newRoot(names)
}

// theirs returns the root that the store has, nil if it has none. One that is not good yet, because a clock is wrong, is neither taken up nor
// replaced.
func (ca *localCA) theirs(ctx context.Context) (theirs *root, version string, err error) {
	version, err = ca.shared.Read(ctx, func(value []byte) (err error) {
		if theirs, err = decodeRoot(value); err == nil && time.Now().Before(theirs.NotBefore) {
			err = fmt.Errorf("the local CA in it is from %s, and now is %s by this host's clock: one of the hosts has a wrong clock",
				theirs.NotBefore.UTC().Format(time.RFC3339), time.Now().UTC().Format(time.RFC3339))
		}
		return err
	})
	return theirs, version, err
}

// take has best take the place of before, in the files and in use. It is not done if another one has done so by now.
func (ca *localCA) take(before, best *root) (done bool, err error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	switch {
	case ca.current.Load() != before:
		return false, nil
	case best == before || best.same(before):
		return true, nil
	}
	kept, err := readRoot(ca.dir) // perhaps by another process of this host
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if !best.same(kept) {
		aside, err := best.keep(ca.dir)
		if err != nil {
			return false, err
		}
		if aside != "" {
			ca.log.Warn("the local CA was not good for all hosts any more: another one takes its place, which has to be trusted again (edge trust)", "old", aside)
		}
	}
	ca.current.Store(best)
	if before != nil {
		ca.replaced()
	}
	return true, nil
}

// Issue signs a certificate for the names in csr. It makes localCA a certmagic.Issuer.
func (ca *localCA) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if err := csr.CheckSignature(); err != nil {
		return nil, err
	}
	root, names := ca.current.Load(), namesIn(csr.DNSNames, csr.IPAddresses)
	if !root.permits(names) {
		return nil, fmt.Errorf("the local CA may not sign for %s", strings.Join(names, ", "))
	}
	template := &x509.Certificate{
		SerialNumber: newSerial(),
		Subject:      pkix.Name{CommonName: firstOf(names)},
		DNSNames:     csr.DNSNames,
		IPAddresses:  csr.IPAddresses,
		NotBefore:    time.Now().Add(-clockSlack),
		NotAfter:     time.Now().Add(leafLifetime),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, root.Certificate, csr.PublicKey, root.key)
	if err != nil {
		return nil, err
	}
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// IssuerKey names the CA by its root: certificates of a root that was replaced are not served again.
func (ca *localCA) IssuerKey() string {
	sum := sha256.Sum256(ca.current.Load().Raw)
	return storage.LocalPrefix + hex.EncodeToString(sum[:8])
}

// outdated reports whether another root has signed a certificate, for names that the one of now may sign for.
func (ca *localCA) outdated(leaf *x509.Certificate) bool {
	root := ca.current.Load()
	return !bytes.Equal(leaf.AuthorityKeyId, root.SubjectKeyId) && root.permits(namesIn(leaf.DNSNames, leaf.IPAddresses))
}

func namesIn(names []string, addresses []net.IP) []string {
	names = slices.Clone(names)
	for _, ip := range addresses {
		names = append(names, ip.String())
	}
	return names
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// writeFile writes a file whole or not at all.
func writeFile(name string, data []byte, mode fs.FileMode) error {
	temp, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(temp.Name())
	_, err = temp.Write(data)
	err = errors.Join(err, temp.Chmod(mode), temp.Sync(), temp.Close())
	if err != nil {
		return err
	}
	return os.Rename(temp.Name(), name)
}

var _ certmagic.Issuer = (*localCA)(nil)
