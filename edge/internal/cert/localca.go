package cert

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
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
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

const (
	rootLifetime = 10 * 365 * 24 * time.Hour
	leafLifetime = 30 * 24 * time.Hour
	clockSlack   = time.Hour // certificates begin this much earlier, for clocks that are behind
)

// specialNames are the names that a local CA may always sign for: no public site can have one
// (RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of "internal").
var specialNames = []string{"localhost", "test", "local", "internal", "home.arpa"}

// specialAddresses are the addresses that are not reachable from elsewhere (RFC 1122, RFC 1918, RFC 4193, RFC 4291).
var specialAddresses = []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"}

// localCA is a certificate authority for machines whose owner trusts it by hand. Its root is constrained to special-use
// names and the configured hosts (RFC 5280, section 4.2.1.10): a stolen key can impersonate nobody else.
type localCA struct {
	root *x509.Certificate
	key  crypto.Signer
}

func localCAPath(dataDir string) string { return filepath.Join(dataDir, "ca") }

// ReadLocalCA returns the root certificate of the local CA below dataDir and the file that it is in.
// The error is fs.ErrNotExist when no certificate was ever asked of it.
func ReadLocalCA(dataDir string) (*x509.Certificate, string, error) {
	file := filepath.Join(localCAPath(dataDir), "root.crt")
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

// openLocalCA reads the CA in dir, or makes one. One whose constraints do not permit all names, or that is near its
// end, is set aside and replaced: whoever trusted it has to trust the new one.
func openLocalCA(dir string, names []string, log *slog.Logger) (*localCA, error) {
	certFile, keyFile := filepath.Join(dir, "root.crt"), filepath.Join(dir, "root.key")
	pair, err := readPair(certFile, keyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, fmt.Errorf("%w; move both files away to have a new CA made", err)
	default:
		ca := &localCA{root: pair.Leaf, key: pair.PrivateKey.(crypto.Signer)}
		if ca.permits(names) && time.Until(ca.root.NotAfter) > leafLifetime {
			return ca, nil
		}
		aside := filepath.Join(dir, "root-until-"+time.Now().UTC().Format("20060102T150405Z")+".crt")
		if err := os.Rename(certFile, aside); err != nil {
			return nil, err
		}
		log.Warn("the local CA is not good for all hosts any more: a new one is made, which has to be trusted again (edge trust)", "old", aside)
	}
	return makeLocalCA(dir, certFile, keyFile, names)
}

func makeLocalCA(dir, certFile, keyFile string, names []string) (*localCA, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	hostname, _ := os.Hostname()
	template := &x509.Certificate{
		SerialNumber:                newSerial(),
		Subject:                     pkix.Name{CommonName: "edge local CA " + hostname, Organization: []string{"edge"}},
		NotBefore:                   time.Now().Add(-clockSlack),
		NotAfter:                    time.Now().Add(rootLifetime),
		IsCA:                        true,
		BasicConstraintsValid:       true,
		MaxPathLenZero:              true,
		KeyUsage:                    x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		ExtKeyUsage:                 []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		PermittedDNSDomainsCritical: true,
	}
	constrain(template, names)
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, err
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	if err := writeFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600); err != nil {
		return nil, err
	}
	if err := writeFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return nil, err
	}
	return &localCA{root: root, key: key}, nil
}

// constrain permits special-use names and the given ones.
func constrain(template *x509.Certificate, names []string) {
	template.PermittedDNSDomains = slices.Clone(specialNames)
	for _, cidr := range specialAddresses {
		_, network, _ := net.ParseCIDR(cidr)
		template.PermittedIPRanges = append(template.PermittedIPRanges, network)
	}
	for _, name := range names {
		if addr, err := netip.ParseAddr(name); err == nil {
			if !permitsIP(template, addr) {
				bits := addr.BitLen()
				template.PermittedIPRanges = append(template.PermittedIPRanges,
					&net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(bits, bits)})
			}
		} else if !permitsName(template, name) {
			template.PermittedDNSDomains = append(template.PermittedDNSDomains, strings.TrimPrefix(name, "*."))
		}
	}
}

// permits reports whether the CA's constraints let it sign for all names.
func (ca *localCA) permits(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		if addr, err := netip.ParseAddr(name); err == nil {
			return !permitsIP(ca.root, addr)
		}
		return !permitsName(ca.root, name)
	})
}

func permitsName(root *x509.Certificate, name string) bool {
	name = strings.TrimPrefix(name, "*.")
	return slices.ContainsFunc(root.PermittedDNSDomains, func(domain string) bool {
		return name == domain || strings.HasSuffix(name, "."+domain)
	})
}

func permitsIP(root *x509.Certificate, addr netip.Addr) bool {
	return slices.ContainsFunc(root.PermittedIPRanges, func(n *net.IPNet) bool { return n.Contains(addr.AsSlice()) })
}

// Issue signs a certificate for the names in csr. It makes localCA a certmagic.Issuer.
func (ca *localCA) Issue(_ context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	if err := csr.CheckSignature(); err != nil {
		return nil, err
	}
	names := slices.Clone(csr.DNSNames)
	for _, ip := range csr.IPAddresses {
		names = append(names, ip.String())
	}
	if !ca.permits(names) {
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
	der, err := x509.CreateCertificate(rand.Reader, template, ca.root, csr.PublicKey, ca.key)
	if err != nil {
		return nil, err
	}
	return &certmagic.IssuedCertificate{Certificate: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})}, nil
}

// IssuerKey names the CA by its root: certificates of a root that was replaced are not served again.
func (ca *localCA) IssuerKey() string {
	sum := sha256.Sum256(ca.root.Raw)
	return storage.LocalPrefix + hex.EncodeToString(sum[:8])
}

func firstOf(names []string) string {
	if len(names) == 0 {
		return ""
	}
	return names[0]
}

// newSerial returns a random serial number of 127 bits (RFC 5280, section 4.1.2.2, allows 20 octets).
func newSerial() *big.Int {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return serial
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
