package cert

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	rootLifetime = 10 * 365 * 24 * time.Hour
	rootCertFile = "root.crt"
	rootKeyFile  = "root.key"
)

// specialNames are the names that a local CA may always sign for: no public site can have one
// (RFC 6761, RFC 6762, RFC 8375, and ICANN's reservation of "internal").
var specialNames = []string{"localhost", "test", "local", "internal", "home.arpa"}

// specialAddresses are the addresses that are not reachable from elsewhere (RFC 1122, RFC 1918, RFC 4193, RFC 4291).
var specialAddresses = []string{"127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7", "fe80::/10"}

// root is what a local CA signs with. It is constrained to special-use names and the configured hosts (RFC 5280, section
// 4.2.1.10): a stolen key can impersonate nobody else. A nil root is good for nothing.
type root struct {
	*x509.Certificate
	key crypto.Signer
}

// newRoot makes a root that may sign for names.
func newRoot(names []string) (*root, error) {
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
	certificate, err := x509.ParseCertificate(der)
	return &root{certificate, key}, err
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

// names are those that the root was made for, as far as not every root may sign for them.
func (r *root) names() []string {
	if r == nil {
		return nil
	}
	special := new(x509.Certificate)
	constrain(special, nil)
	names := slices.DeleteFunc(slices.Clone(r.PermittedDNSDomains), func(name string) bool { return permitsName(special, name) })
	for _, network := range r.PermittedIPRanges {
		if ones, bits := network.Mask.Size(); ones == bits {
			names = append(names, network.IP.String())
		}
	}
	return names
}

// permits reports whether the root's constraints let it sign for all names.
func (r *root) permits(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		if addr, err := netip.ParseAddr(name); err == nil {
			return !permitsIP(r.Certificate, addr)
		}
		return !permitsName(r.Certificate, name)
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

// goodFor reports whether the root may sign for all names, and what it signs now ends before it does.
func (r *root) goodFor(names []string) bool {
	return r != nil && r.permits(names) && time.Until(r.NotAfter) > leafLifetime
}

func (r *root) same(other *root) bool {
	return r != nil && other != nil && r.Equal(other.Certificate)
}

// readRoot reads the root in dir, fs.ErrNotExist if there is none.
func readRoot(dir string) (*root, error) {
	pair, err := readPair(filepath.Join(dir, rootCertFile), filepath.Join(dir, rootKeyFile))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, err
	case err != nil:
		return nil, fmt.Errorf("%w; move both files away to have a new CA made", err)
	}
	return &root{pair.Leaf, pair.PrivateKey.(crypto.Signer)}, nil
}

// keep writes the root to dir. A certificate that is there is set aside, and without one the key counts for nothing: whenever the process
// is killed, what is left is a whole root or none.
func (r *root) keep(dir string) (aside string, err error) {
	certPEM, keyPEM, err := r.pem()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	file := filepath.Join(dir, rootCertFile)
	aside = filepath.Join(dir, "root-until-"+time.Now().UTC().Format("20060102T150405Z")+".crt")
	if err := os.Rename(file, aside); errors.Is(err, fs.ErrNotExist) {
		aside = ""
	} else if err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(dir, rootKeyFile), keyPEM, 0o600); err != nil {
		return aside, err
	}
	return aside, writeFile(file, certPEM, 0o644)
}

func (r *root) pem() (certPEM, keyPEM []byte, err error) {
	pkcs8, err := x509.MarshalPKCS8PrivateKey(r.key)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: r.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), err
}

// encode writes what hosts share of a root: its certificate and its key in PEM.
func (r *root) encode() ([]byte, error) {
	certPEM, keyPEM, err := r.pem()
	return append(certPEM, keyPEM...), err
}

// decodeRoot accepts what encode writes and nothing else.
func decodeRoot(value []byte) (*root, error) {
	pair, err := tls.X509KeyPair(value, value)
	if err != nil {
		return nil, err
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok || !pair.Leaf.IsCA {
		return nil, errors.New("not the root of a local CA")
	}
	r := &root{pair.Leaf, key}
	if again, err := r.encode(); err != nil || !bytes.Equal(again, value) {
		return nil, errors.New("not a root as edge writes it")
	}
	return r, nil
}

// newSerial returns a random serial number of 127 bits (RFC 5280, section 4.1.2.2, allows 20 octets).
func newSerial() *big.Int {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		panic(err) // crypto/rand never fails on a supported system
	}
	return serial
}
