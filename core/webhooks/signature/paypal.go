package signature

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash/crc32"
	"net/http"
	"strings"
	"time"
)

// payPalAge is how long after its time a delivery of PayPal's is taken at least: it goes on trying for three days, and does not say that it signs anew.
// What came already is a repeat, whatever its age.
const payPalAge = 72*time.Hour + 10*time.Minute

// payPal signs the CRC-32 of the body with RSA; the certificate is on a host of its own.
// https://developer.paypal.com/api/rest/webhooks/rest/#link-verifywebhooksignature
type payPal struct {
	ids       []string // of the webhook, which is in what is signed
	tolerance time.Duration
	certs     *certificates
}

func newPayPal(ids []string, tolerance time.Duration, certs *certificates) (scheme, error) {
	for _, id := range ids {
		if id == "" || strings.ContainsAny(id, "| ") {
			return nil, errors.New("the secret of paypal is the webhook's id, such as 4JH86294D6297924G")
		}
	}
	if len(ids) == 0 {
		return nil, errors.New("the webhook's id is missing")
	}
	return &payPal{ids: ids, tolerance: tolerance, certs: certs}, nil
}

// payPalFields are those of a delivery.
type payPalFields struct {
	id, time, signature, certURL string
	signed                       time.Time
}

func readPayPal(h http.Header) (f payPalFields, err error) {
	algorithm := ""
	for _, part := range []struct {
		name string
		to   *string
	}{
		{"Paypal-Transmission-Id", &f.id}, {"Paypal-Transmission-Time", &f.time}, {"Paypal-Transmission-Sig", &f.signature},
		{"Paypal-Cert-Url", &f.certURL}, {"Paypal-Auth-Algo", &algorithm},
	} {
		if *part.to, err = field(h, part.name); err != nil {
			return f, err
		}
	}
	if algorithm != "SHA256withRSA" {
		return f, refuse(Malformed, "Paypal-Auth-Algo is not SHA256withRSA")
	}
	if strings.Contains(f.id+f.time, "|") {
		return f, refuse(Malformed, "the transmission's id or time has | in it")
	}
	if f.signed, err = time.Parse(time.RFC3339, f.time); err != nil {
		return f, refuse(Malformed, "the time in Paypal-Transmission-Time is not as RFC 3339 has it")
	}
	u, ok := parseHTTPS(f.certURL)
	if !ok || !strings.HasSuffix(strings.ToLower(u.Host), ".paypal.com") {
		return f, refuse(WrongCertificate, "Paypal-Cert-Url is no https URL on a host of paypal.com")
	}
	return f, nil
}

func (p *payPal) verify(ctx context.Context, r *Request) error {
	f, err := readPayPal(r.Header)
	if err != nil {
		return err
	}
	signature, err := base64.StdEncoding.Strict().DecodeString(f.signature)
	if err != nil {
		return refuse(Malformed, "the signature in Paypal-Transmission-Sig is not in base64")
	}
	chain, err := p.certs.get(ctx, f.certURL)
	if err != nil {
		return err
	}
	if err := p.certs.trusted(chain, ".paypal.com", r.now()); err != nil {
		return err
	}
	good := false
	for _, id := range p.ids {
		sum := sha256.Sum256(fmt.Appendf(nil, "%s|%s|%s|%d", f.id, f.time, id, crc32.ChecksumIEEE(r.Body)))
		good = rsa.VerifyPKCS1v15(chain[0].PublicKey.(*rsa.PublicKey), crypto.SHA256, sum[:], signature) == nil || good
	}
	if !good {
		return wrong(len(p.ids))
	}
	return near(f.signed, r.now(), max(p.tolerance, payPalAge), p.tolerance)
}
