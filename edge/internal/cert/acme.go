package cert

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/caddyserver/certmagic"
	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
	"github.com/onehost/edge/edge/internal/cert/budget"
	"github.com/onehost/edge/edge/internal/cert/storage"
)

// orderTimeout bounds one order: a CA that validates from several places takes seconds, a DNS provider minutes.
const orderTimeout = 5 * time.Minute

// acmeCA is a certificate authority that speaks ACME (RFC 8555), with our account there. It is the certmagic.Issuer
// of one directory. Certmagic's own opens listeners for challenges, asks on the terminal for an e-mail address and
// keeps challenges in package variables; this one answers them on the listeners that serve.
type acmeCA struct {
	issuer     budget.Issuer // its name and the URL of its directory
	email      string
	binding    binding
	challenges []string // the types that may be tried, in order of preference
	solvers    map[string]acmez.Solver
	storage    certmagic.Storage
	budget     *budget.Budget
	http       *http.Client
	log        *slog.Logger

	mu      sync.Mutex // held while the account is asked for: one asks, the others wait
	account acme.Account

	reach reach
}

// binding gets the credentials that bind an account to a customer of the CA (RFC 8555, section 7.3.4). Nil: none are needed.
type binding func(context.Context) (acme.EAB, error)

// IssuerKey names the CA in the storage, as certmagic does for ACME directories.
func (ca *acmeCA) IssuerKey() string { return storage.IssuerKey(ca.issuer.Directory) }

// renewing is the key of a context's value: the certificate that an order is to follow.
type renewing struct{}

// refusedBefore is the key of a context's value: that the CA has refused the order before this one.
type refusedBefore struct{}

// errRenewed says that another process, here or on another host, has got the certificate while this one waited for the right to.
var errRenewed = errors.New("another process has got it")

// Issue implements certmagic.Issuer: it orders a certificate for the one name of csr. When the CA can't validate by one
// type of challenge, the next one is tried, in an order of its own.
func (ca *acmeCA) Issue(ctx context.Context, csr *x509.CertificateRequest) (*certmagic.IssuedCertificate, error) {
	ctx, cancel := context.WithTimeout(ctx, orderTimeout)
	defer cancel()
	if err := ca.reach.wait(ctx, ca); err != nil {
		return nil, err
	}
	var failed orders
	for _, challenge := range ca.challenges {
		chain, err := ca.order(ctx, csr, challenge)
		if err == nil {
			return &certmagic.IssuedCertificate{Certificate: chain.ChainPEM, Metadata: chain}, nil
		}
		failed = append(failed, failedOrder{challenge, err})
		if !notValidated(err) {
			break
		}
	}
	ca.reach.heard(failed)
	return nil, failed
}

// order asks for a certificate once, with one type of challenge.
func (ca *acmeCA) order(ctx context.Context, csr *x509.CertificateRequest, challenge string) (acme.Certificate, error) {
	client := ca.client()
	account, err := ca.registered(ctx, client.Client)
	if err != nil {
		return acme.Certificate{}, err
	}
	params, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return acme.Certificate{}, err
	}
	before, renews := ctx.Value(renewing{}).(*x509.Certificate)
	if err := ca.alone(ctx, params.Identifiers[0].Value, before); err != nil {
		return acme.Certificate{}, err
	}
	kind := budget.First
	if renews {
		kind = budget.Renewal
		again := ctx.Value(refusedBefore{}) != nil                                        // perhaps because of a certificate that the CA doesn't know any more
		if ca.reach.renewalInfo() != "" && time.Now().Before(before.NotAfter) && !again { // the CA then knows what it renews (RFC 9773, section 5)
			kind, params.Replaces = budget.Replacement, before
		}
	}
	if solver, ok := ca.solvers[challenge].(interface{ Ready(context.Context) error }); ok {
		if err := solver.Ready(ctx); err != nil { // before the CA is troubled
			return acme.Certificate{}, err
		}
	}
	spend, err := ca.budget.Order(ca.issuer, params.Identifiers[0].Value, kind)
	if err != nil {
		return acme.Certificate{}, err
	}
	client.ChallengeSolvers = map[string]acmez.Solver{challenge: ca.solvers[challenge]}
	final := &finalized{CSRSource: params.CSR}
	params.CSR = final
	chains, err := client.ObtainCertificate(ctx, params)
	if err == nil && len(chains) == 0 {
		err = errors.New("the CA sent no certificate")
	}
	if isProblem(err, acme.ProblemTypeAccountDoesNotExist) {
		ca.forget(account) // the next try registers again, with the same key
	}
	if settled := settleSpend(ctx, spend, chains, err, final.reached); settled != nil {
		ca.log.Warn("what became of an order could not be written down: it counts as spent", "ca", ca.issuer.Name, "err", settled)
	}
	if err != nil {
		return acme.Certificate{}, err
	}
	return chains[0], usable(chains[0].ChainPEM, csr, before)
}

// alone returns an error when name is not this one's to order: another host is at it, or has got what is to follow before.
func (ca *acmeCA) alone(ctx context.Context, name string, before *x509.Certificate) error {
	if lock, ok := ca.storage.(interface {
		Keep(ctx context.Context, lock string) error
	}); ok {
		if err := lock.Keep(ctx, "issue_cert_"+name); err != nil {
			return err
		}
	}
	if kept, err := readStored(ctx, ca.storage, ca.IssuerKey(), name); err == nil && (before == nil || !kept.pair.Leaf.Equal(before)) {
		return errRenewed
	}
	return nil
}

// maxChain bounds a chain, in bytes: it is sent in every handshake, and OpenSSL takes no more than 100 KiB. One of five
// certificates has about 8.
const maxChain = 64 << 10

// usable tells what is wrong with what a CA gave for csr. Its dates are looked at only where it would take the place of a
// certificate that is good now: when it is the clock here that is wrong, visitors may be content with it.
func usable(chainPEM []byte, csr *x509.CertificateRequest, before *x509.Certificate) error {
	if len(chainPEM) > maxChain {
		return fmt.Errorf("the CA gave a chain of %d KiB, too large to be sent in handshakes", len(chainPEM)>>10)
	}
	leaf, err := firstCertificate(chainPEM)
	if err != nil {
		return fmt.Errorf("what the CA gave is no certificate: %w", err)
	}
	if !bytes.Equal(leaf.RawSubjectPublicKeyInfo, csr.RawSubjectPublicKeyInfo) {
		return errors.New("the CA gave a certificate for another key")
	}
	names := slices.Clone(csr.DNSNames)
	for _, ip := range csr.IPAddresses {
		names = append(names, ip.String())
	}
	for _, name := range names {
		if err := isFor(leaf, name); err != nil {
			return fmt.Errorf("what the CA gave is of no use: %w", err)
		}
	}
	if now := time.Now(); before != nil && isValid(before, now) && !isValid(leaf, now) {
		return fmt.Errorf("the CA gave a certificate from %s until %s, and it is %s here: is the clock right?",
			leaf.NotBefore.UTC().Format(time.DateTime), leaf.NotAfter.UTC().Format(time.DateTime), now.UTC().Format(time.DateTime))
	}
	return nil
}

func isValid(leaf *x509.Certificate, at time.Time) bool {
	return !at.Before(leaf.NotBefore) && !at.After(leaf.NotAfter)
}

// finalized knows whether an order came so far that the CA was asked to sign.
type finalized struct {
	acmez.CSRSource
	reached bool
}

// CSR is called when all is validated.
func (f *finalized) CSR(ctx context.Context, ids []acme.Identifier) (*x509.CertificateRequest, error) {
	f.reached = true
	return f.CSRSource.CSR(ctx, ids)
}

// settleSpend writes down what an order cost. One whose end is not known, because the CA was asked to sign and its answer was
// lost, is left as it is written down already: as if it had brought a certificate.
func settleSpend(ctx context.Context, spend *budget.Spend, chains []acme.Certificate, err error, final bool) error {
	var problem acme.Problem
	switch {
	case err == nil:
		leaf, err := firstCertificate(chains[0].ChainPEM)
		if err != nil {
			return err
		}
		return spend.Issued(leaf.NotAfter)
	case final && !errors.As(err, &problem):
		return nil
	case notValidated(err):
		return spend.Failed(1)
	case isProblem(err, acme.ProblemTypeRateLimited):
		until := time.Now().Add(time.Hour)
		if asked, ok := ctx.Value(attempts{}).(*attempt); ok && !asked.until.IsZero() {
			until = asked.until
		}
		return spend.RateLimited(until)
	default:
		return spend.Failed(0)
	}
}

func (ca *acmeCA) client() *acmez.Client {
	return &acmez.Client{Client: &acme.Client{
		Directory:    ca.issuer.Directory,
		UserAgent:    "edge",
		HTTPClient:   &http.Client{Transport: incurious{ca.http.Transport}, Timeout: ca.http.Timeout},
		Logger:       slog.New(quietly{ca.log.Handler()}),
		PollInterval: shortestPoll, PollTimeout: orderTimeout,
	}}
}

// registered returns our account. Its key is kept before the CA hears of it, and the CA knows an account by its key
// (RFC 8555, section 7.3.1): whenever we die in between, and wherever the key is put back, it is the same account.
func (ca *acmeCA) registered(ctx context.Context, client *acme.Client) (acme.Account, error) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.account.Status == acme.StatusValid {
		return ca.account, nil
	}
	name := storage.AccountKey(ca.issuer.Directory)
	if err := ca.storage.Lock(ctx, name); err != nil { // until the CA knows the key: it is asked to register it once
		return acme.Account{}, err
	}
	defer func() { _ = ca.storage.Unlock(context.WithoutCancel(ctx), name) }()
	key, fresh, err := ca.accountKey(ctx, name)
	if err != nil {
		return acme.Account{}, err
	}
	if fresh { // what becomes of it is not told to the budget: it counts, as it may with the CA
		if _, err := ca.budget.Register(ca.issuer); err != nil {
			return acme.Account{}, err
		}
	}
	account := acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if ca.email != "" {
		account.Contact = []string{"mailto:" + ca.email}
	}
	if ca.binding != nil {
		eab, err := ca.binding(ctx)
		if err != nil {
			return acme.Account{}, err
		}
		if err := account.SetExternalAccountBinding(ctx, client, eab); err != nil {
			return acme.Account{}, fmt.Errorf("eab: %w", err)
		}
	}
	known, err := client.NewAccount(ctx, account)
	if err != nil {
		return acme.Account{}, fmt.Errorf("the account: %w", err)
	}
	if len(account.Contact) > 0 && len(known.Contact) > 0 && !slices.Equal(known.Contact, account.Contact) { // some CAs keep none
		known.Contact, known.PrivateKey = account.Contact, key
		if known, err = client.UpdateAccount(ctx, known); err != nil {
			return acme.Account{}, fmt.Errorf("the account's contact: %w", err)
		}
	}
	known.PrivateKey = key
	ca.account = known
	ca.log.Info("the CA knows our account", "ca", ca.issuer.Name, "account", known.Location)
	return known, nil
}

func (ca *acmeCA) forget(account acme.Account) {
	ca.mu.Lock()
	defer ca.mu.Unlock()
	if ca.account.Location == account.Location {
		ca.log.Warn("the CA does not know our account any more; it is registered again", "ca", ca.issuer.Name, "account", account.Location)
		ca.account = acme.Account{}
	}
}

// accountKey reads the account's private key, or makes one and tells that it is fresh. The lock of that name is held.
func (ca *acmeCA) accountKey(ctx context.Context, name string) (key crypto.Signer, fresh bool, err error) {
	key, err = ca.readAccountKey(ctx, name)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, false, err
	}
	key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, false, err
	}
	pem, err := certmagic.PEMEncodePrivateKey(key)
	if err != nil {
		return nil, false, err
	}
	if err := ca.storage.Store(ctx, name, pem); err != nil {
		return nil, false, fmt.Errorf("the account key: %w", err)
	}
	key, err = ca.readAccountKey(ctx, name) // hosts that share it may have had one
	return key, true, err
}

func (ca *acmeCA) readAccountKey(ctx context.Context, name string) (crypto.Signer, error) {
	pem, err := ca.storage.Load(ctx, name)
	if err != nil {
		return nil, fmt.Errorf("the account key: %w", err)
	}
	key, err := certmagic.PEMDecodePrivateKey(pem)
	if err != nil {
		return nil, fmt.Errorf("the account key certificates/%s can't be read (%w): put it back from a backup, or move it away to register a new account", name, err)
	}
	return key, nil
}
