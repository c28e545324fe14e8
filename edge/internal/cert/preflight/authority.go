package preflight

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
)

// An authority is one CA that names are to be certified by.
type authority struct {
	issuer config.Issuer

	ready chan struct{} // closed once the rest is there
	found Finding
	names []string      // by which CAA records know it
	ahead time.Duration // of its clock before ours
	dated bool          // it said the time
}

func (a *authority) acme() bool { return a.issuer.Name != config.Local }

// domains returns the names by which CAA records know the CA, as far as they are known.
func (a *authority) domains(ctx context.Context) []string {
	select {
	case <-a.ready:
		return a.names
	case <-ctx.Done():
		return issuerDomains(a.issuer.Name)
	}
}

// A directory is what an ACME server says of itself (RFC 8555, section 7.1.1).
type directory struct {
	NewOrder string `json:"newOrder"`
	Meta     struct {
		Terms         string   `json:"termsOfService"`
		CAAIdentities []string `json:"caaIdentities"`
		NeedsEAB      bool     `json:"externalAccountRequired"`
	} `json:"meta"`
}

// directoryTimeout bounds asking for one.
const directoryTimeout = 8 * time.Second

// maxDirectory is far more than a directory has.
const maxDirectory = 256 << 10

// visit asks a CA for its directory.
func (in *inspection) visit(ctx context.Context, a *authority) {
	defer close(a.ready)
	a.names = issuerDomains(a.issuer.Name)
	if !a.acme() {
		return
	}
	a.found = Finding{Check: "ca"}
	start := in.now()
	dir, date, err := a.read(ctx)
	if err != nil {
		a.found.Result, a.found.Seen, a.found.Do = Fail, fmt.Sprintf("%s: %s", a.issuer, printable(err.Error())), a.remedy(err)
		return
	}
	took := in.now().Sub(start)
	if at, err := http.ParseTime(date); err == nil {
		a.dated, a.ahead = true, at.Sub(start.Add(took/2))
	}
	for _, name := range dir.Meta.CAAIdentities {
		if name = strings.ToLower(name); !slices.Contains(a.names, name) {
			a.names = append(a.names, name)
		}
	}
	a.found.Result, a.found.Seen = OK, fmt.Sprintf("%s answers in %d ms", a.issuer, took.Milliseconds())
	if dir.Meta.Terms != "" {
		a.found.Seen += "; its terms, which edge agrees to for you: " + printable(dir.Meta.Terms)
	}
	if dir.Meta.NeedsEAB && a.issuer.EAB == nil && a.issuer.Name != config.ZeroSSL {
		a.found.Result, a.found.Seen = Fail, fmt.Sprintf("%s takes only accounts that it knows", a.issuer)
		a.found.Do = "give the issuer eab: {kid: …, hmac: …}, which the CA shows to its customers"
	}
}

// read gets the directory, and the date that came with it.
func (a *authority) read(ctx context.Context) (dir directory, date string, err error) {
	ctx, cancel := context.WithTimeout(ctx, directoryTimeout)
	defer cancel()
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, DisableKeepAlives: true,
		TLSHandshakeTimeout: directoryTimeout, MaxResponseHeaderBytes: 64 << 10,
	}
	if a.issuer.CA != "" {
		roots, err := os.ReadFile(a.issuer.CA)
		if err != nil {
			return dir, "", fmt.Errorf("ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(roots) {
			return dir, "", fmt.Errorf("ca: %s holds no PEM certificate", a.issuer.CA)
		}
		transport.TLSClientConfig = &tls.Config{RootCAs: pool}
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.issuer.DirectoryURL(), nil)
	if err != nil {
		return dir, "", err
	}
	req.Header.Set("User-Agent", "edge")
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		return dir, "", err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return dir, "", fmt.Errorf("%s answers %s", a.issuer.DirectoryURL(), resp.Status)
	}
	err = json.NewDecoder(io.LimitReader(resp.Body, maxDirectory)).Decode(&dir)
	if err != nil || dir.NewOrder == "" {
		return dir, "", fmt.Errorf("%s is no ACME directory", a.issuer.DirectoryURL())
	}
	return dir, resp.Header.Get("Date"), nil
}

// remedy says what to do about a CA that can't be asked.
func (a *authority) remedy(err error) string {
	unknown := errors.As(err, new(x509.UnknownAuthorityError))
	invalid, isInvalid := errors.AsType[x509.CertificateInvalidError](err)
	switch {
	case isInvalid && invalid.Reason == x509.Expired:
		return "look at this host's clock: by it the CA's certificate is not valid now"
	case unknown && a.issuer.Directory != "":
		return "give the issuer ca: FILE with the root of the directory's own certificate"
	case unknown:
		return "install the system's roots (package ca-certificates); else something on the way opens TLS"
	case a.issuer.Directory != "":
		return "look at the directory's URL and whether this host may go there"
	}
	return "let this host go out to the CA on port 443, directly or by HTTPS_PROXY; if it can, the CA is down, and edge tries again by itself"
}

// printable keeps what others say from driving the terminal.
func printable(text string) string {
	const most = 300
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 {
			return -1
		}
		return r
	}, text)
	return text[:min(len(text), most)]
}
