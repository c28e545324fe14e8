package cert

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert/budget"
	"github.com/onehost/edge/edge/internal/cert/route53"
)

// zeroSSLBinding gives the credentials for a new account to whoever names an e-mail address.
const zeroSSLBinding = "https://api.zerossl.com/acme/eab-credentials-email"

// An issuer is where certificates come from: a CA, and certmagic, which makes keys, asks that CA alone, so that the
// refusal of each is heard, and keeps what it signs.
type issuer struct {
	name  string // as the sysadmin knows it: letsencrypt, local, or the directory's URL
	magic *certmagic.Config
	acme  *acmeCA       // nil for the local CA
	local *localCA      // nil for others
	slots chan struct{} // one for each attempt that may be under way
}

const maxAttempts = 64 // at one CA at once

func newIssuer(name string, magic *certmagic.Config, ca *acmeCA) *issuer {
	return &issuer{name: name, magic: magic, acme: ca, slots: make(chan struct{}, maxAttempts)}
}

// issuers are made once for each way that the configuration describes, and kept while it does: accounts and what is
// known of a CA's reach outlive a reload.
type issuers map[string]*issuer

// acmeIssuer returns the issuer that from describes: the one that there is, or a new one.
func (m *Manager) acmeIssuer(ctx context.Context, all issuers, from config.Issuer, cfg *config.Config, name string) (*issuer, error) {
	challenges := cfg.ChallengesOf(from, name)
	if len(challenges) == 0 {
		return nil, fmt.Errorf("%s: no challenge can be answered for %s", from, name)
	}
	roots, err := readRoots(from.CA)
	if err != nil {
		return nil, err
	}
	description, err := json.Marshal([]any{from, roots, cfg.TLS.Email, cfg.TLS.DNS, challenges})
	if err != nil {
		return nil, err
	}
	key := string(description)
	if known, ok := m.serving.Load().issuers[key]; ok {
		all[key] = known
	}
	if known, ok := all[key]; ok {
		return known, nil
	}
	ca, err := m.newCA(ctx, from, cfg, challenges, httpClient(roots))
	if err != nil {
		return nil, err
	}
	all[key] = newIssuer(from.String(), m.magic(ca, m.storage), ca)
	return all[key], nil
}

func (m *Manager) newCA(ctx context.Context, from config.Issuer, cfg *config.Config, challenges []string, client *http.Client) (*acmeCA, error) {
	ca := &acmeCA{
		issuer: budget.Issuer{Name: from.String(), Directory: from.DirectoryURL()}, email: cfg.TLS.Email, challenges: challenges, solvers: make(map[string]acmez.Solver),
		storage: m.storage, budget: m.budget, http: client, log: m.log,
	}
	switch {
	case from.EAB != nil:
		eab := acme.EAB{KeyID: from.EAB.KID, MACKey: from.EAB.HMAC}
		ca.binding = func(context.Context) (acme.EAB, error) { return eab, nil }
	case from.Name == config.ZeroSSL:
		ca.binding = func(ctx context.Context) (acme.EAB, error) {
			return bindingByEmail(ctx, client, zeroSSLBinding, cfg.TLS.Email)
		}
	}
	for _, kind := range challenges {
		solver, err := m.solver(ctx, kind, cfg)
		if err != nil {
			return nil, err
		}
		ca.solvers[kind] = solver
	}
	return ca, nil
}

// solver returns what answers challenges of one type.
func (m *Manager) solver(ctx context.Context, kind string, cfg *config.Config) (acmez.Solver, error) {
	switch kind {
	case config.HTTP01:
		return http01{m.challenges}, nil
	case config.TLSALPN01:
		return tlsALPN01{m.challenges}, nil
	}
	solver, err := route53.NewSolver(ctx, route53.Options{HostedZoneID: cfg.TLS.DNS.Route53.HostedZoneID, Log: m.log})
	if err != nil {
		return nil, fmt.Errorf("tls.dns.route53: %w", err)
	}
	return solver, nil
}

// magic returns a certmagic that knows one CA. What it would do by itself (renewing in the background, stapling, asking
// for renewal information) is not asked of it. Storage is that of this host for a CA that it has for itself.
func (m *Manager) magic(ca certmagic.Issuer, storage certmagic.Storage) *certmagic.Config {
	return certmagic.New(m.cache, certmagic.Config{
		Issuers:    []certmagic.Issuer{ca},
		Storage:    storage,
		DisableARI: true,
		OCSP:       certmagic.OCSPConfig{DisableStapling: true}, // optional since CA/B ballot SC-063; Let's Encrypt has none
		Logger:     zapOn(slog.New(quietly{m.log.Handler()})),
	})
}

// readRoots reads the certificates that a private CA's own TLS is verified with; nil for a public one ("").
func readRoots(file string) ([]byte, error) {
	if file == "" {
		return nil, nil
	}
	roots, err := readBounded(file)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(roots) {
		err = fmt.Errorf("%s holds no PEM certificate", file)
	}
	return roots, err
}

// httpClient speaks to a CA whose own TLS is verified with roots, or with the system's if there are none.
func httpClient(roots []byte) *http.Client {
	t := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: 30 * time.Second,
		IdleConnTimeout:       30 * time.Second,
		MaxConnsPerHost:       maxAttempts,
		ForceAttemptHTTP2:     true,
	}
	if roots != nil {
		t.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool()}
		t.TLSClientConfig.RootCAs.AppendCertsFromPEM(roots)
	}
	return &http.Client{Transport: transport{t}, Timeout: time.Minute}
}

// bindingByEmail asks endpoint for the credentials of a new account (https://zerossl.com/documentation/acme/generate-eab-credentials-email/).
func bindingByEmail(ctx context.Context, client *http.Client, endpoint, email string) (acme.EAB, error) {
	form := url.Values{"email": {email}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return acme.EAB{}, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := client.Do(req)
	if err != nil {
		return acme.EAB{}, err
	}
	defer resp.Body.Close()
	var answer struct {
		Success bool `json:"success"`
		Error   struct {
			Type string `json:"type"`
		} `json:"error"`
		KID  string `json:"eab_kid"`
		HMAC string `json:"eab_hmac_key"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return acme.EAB{}, fmt.Errorf("eab credentials: %s: %w", resp.Status, err)
	}
	if !answer.Success || answer.KID == "" || answer.HMAC == "" {
		return acme.EAB{}, fmt.Errorf("eab credentials were refused: %s", oneLine(answer.Error.Type))
	}
	return acme.EAB{KeyID: answer.KID, MACKey: answer.HMAC}, nil
}

// stored returns the certificate of name that this issuer gave and that is kept; the error is fs.ErrNotExist when there
// is none. Files that are there and can't be used are a *damagedError.
func (i *issuer) stored(ctx context.Context, storage certmagic.Storage, name string) (*holding, error) {
	kept, err := readStored(ctx, storage, i.magic.Issuers[0].IssuerKey(), name)
	if err == nil {
		kept.from = i
	}
	return kept, err
}

func readStored(ctx context.Context, storage certmagic.Storage, issuerKey, name string) (*holding, error) {
	certFile := certmagic.StorageKeys.SiteCert(issuerKey, name)
	certPEM, err := storage.Load(ctx, certFile)
	if err != nil {
		return nil, err
	}
	info, err := storage.Stat(ctx, certFile)
	if err != nil {
		return nil, err
	}
	keyPEM, err := storage.Load(ctx, certmagic.StorageKeys.SitePrivateKey(issuerKey, name))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	if err == nil {
		var pair tls.Certificate
		if pair, err = tls.X509KeyPair(bytes.TrimSpace(certPEM), keyPEM); err == nil {
			err = isFor(pair.Leaf, name)
		}
		if err == nil {
			return &holding{pair: &pair, kept: info.Modified}, nil
		}
	}
	return nil, &damagedError{folder: certmagic.StorageKeys.CertsSitePrefix(issuerKey, name), reason: err}
}

// mendDescription removes what certmagic keeps of a certificate besides it and its key if that is damaged: certmagic could not
// renew the certificate with it, and can without.
func (i *issuer) mendDescription(ctx context.Context, storage certmagic.Storage, name string) error {
	file := certmagic.StorageKeys.SiteMeta(i.magic.Issuers[0].IssuerKey(), name)
	switch data, err := storage.Load(ctx, file); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case json.Unmarshal(data, new(certmagic.CertificateResource)) == nil:
		return nil
	}
	return storage.Delete(ctx, file)
}

// damagedError is what can't be served of what is kept.
type damagedError struct {
	folder string // in the storage
	reason error
}

func (e *damagedError) Error() string {
	return fmt.Sprintf("certificates/%s can't be used: %v", e.folder, e.reason)
}

func (e *damagedError) Unwrap() error { return e.reason }

// setAside moves what is damaged out of the way, and keeps it: a new certificate can take its place.
func setAside(ctx context.Context, storage certmagic.Storage, damaged *damagedError) error {
	files, err := storage.List(ctx, damaged.folder, true)
	if err != nil {
		return err
	}
	slices.Sort(files)
	for _, file := range files {
		info, err := storage.Stat(ctx, file)
		if err != nil || !info.IsTerminal {
			continue
		}
		data, err := storage.Load(ctx, file)
		if err != nil {
			return err
		}
		if err := storage.Store(ctx, "damaged/"+file, data); err != nil {
			return err
		}
	}
	return storage.Delete(ctx, damaged.folder)
}

func firstCertificate(chainPEM []byte) (*x509.Certificate, error) {
	block, _ := pem.Decode(chainPEM)
	if block == nil {
		return nil, errors.New("no PEM certificate")
	}
	return x509.ParseCertificate(block.Bytes)
}
