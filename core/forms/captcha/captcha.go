// Package captcha asks the provider of a captcha whether a visitor is a person: Google reCAPTCHA (v2 and v3), Cloudflare Turnstile, hCaptcha.
//
// In come tokens that visitors send, of which nothing is believed, and what providers answer, which is read strictly: what is not
// clearly a yes is none.
package captcha

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

// The reasons of a [Verdict].
const (
	Missing   = "captcha_missing"   // no token was sent
	Malformed = "captcha_malformed" // what was sent can't be a token
	Again     = "captcha_again"     // the token is too old or was used before: the visitor has to do the captcha once more
	Refused   = "captcha_refused"   // the provider says that it is no token of its own, or of no person
	Hostname  = "captcha_hostname"  // the captcha was done on another site's page
	Action    = "captcha_action"    // it was done for something else
	Score     = "captcha_score"     // reCAPTCHA v3 takes the visitor rather for a program
)

// ErrSecret says that the provider does not know the secret: nobody's captcha is verified until a person mends the configuration. It is a fault.Unavailable.
var ErrSecret = fmt.Errorf("the provider does not take the secret key: set forms.NAME.captcha to the one of its console: %w", fault.Unavailable)

const (
	timeout      = 3 * time.Second // of a verification, all in all
	firstTimeout = timeout / 2     // of the first try where there may be a second
	atOnce       = 64              // verifications; more wait, within timeout
	maxAnswer    = 64 << 10        // bytes
)

// Verdict is what the provider thinks of a visitor.
type Verdict struct {
	Person bool   // the token is good
	Doubt  bool   // it is, but what was sent should be looked at
	Reason string // why not Person, or why Doubt; one of this package's words
}

// Verifier verifies the tokens of one form.
type Verifier struct {
	provider  provider
	secret    string
	url       string
	score     float64
	action    string
	hostnames []string
	client    *http.Client
	places    chan struct{}
}

// New returns a verifier for the one service that c names. hostnames are those of the pages that may send the form, used unless the
// service has its own; without any, every page may (and "*" and *.NAME are as in hosts). Test keys of the providers answer with hostnames
// of their own: testkey.google.com, example.com, dummy-key-pass. client is only used to send; redirects are refused, whatever it says of them.
func New(c *config.Captcha, hostnames []string, client *http.Client) (*Verifier, error) {
	if c == nil {
		return nil, errors.New("captcha: name one of recaptcha, turnstile and hcaptcha")
	}
	var chosen *config.CaptchaService
	v := &Verifier{places: make(chan struct{}, atOnce)}
	for _, s := range []struct {
		service  *config.CaptchaService
		provider provider
	}{{c.ReCAPTCHA, reCAPTCHA}, {c.Turnstile, turnstile}, {c.HCaptcha, hCaptcha}} {
		if s.service == nil {
			continue
		}
		if chosen != nil {
			return nil, errors.New("captcha: name only one of recaptcha, turnstile and hcaptcha")
		}
		chosen, v.provider = s.service, s.provider
	}
	switch {
	case chosen == nil:
		return nil, errors.New("captcha: name one of recaptcha, turnstile and hcaptcha")
	case chosen.Secret == "":
		return nil, fmt.Errorf("captcha: %s needs its secret key", v.provider.name)
	case chosen.Action != "" && !v.provider.actions:
		return nil, fmt.Errorf("captcha: %s says no action; leave action out", v.provider.name)
	}
	v.secret, v.score, v.action, v.url = chosen.Secret, chosen.Score, chosen.Action, v.provider.url
	if chosen.VerifyURL != "" {
		v.url = chosen.VerifyURL
	}
	if u, err := url.Parse(v.url); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("captcha: verify_url is not an http:// or https:// URL")
	}
	if v.hostnames = chosen.Hostnames; len(v.hostnames) == 0 {
		v.hostnames = hostnames
	}
	own := http.Client{}
	if client != nil {
		own = *client
	}
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // the secret goes nowhere else
	v.client = &own
	return v, nil
}

// Field is the name of the form's field that has the token. It has to be taken out of what a function gets.
func (v *Verifier) Field() string { return v.provider.field }

// Verify asks the provider about a token. clientAddr is the visitor's address, which it is told; "" if it is not to be.
//
// A token is good once, also for who asks: one that was verified must not be verified again. An error is a fault.Unavailable: within 3 s there
// was no answer that says yes or no; of these, ErrSecret stays until a person does something. No error and no reason holds the secret.
func (v *Verifier) Verify(ctx context.Context, token, clientAddr string) (Verdict, error) {
	switch {
	case token == "":
		return Verdict{Reason: Missing}, nil
	case len(token) > v.provider.longest || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }):
		return Verdict{Reason: Malformed}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	select {
	case v.places <- struct{}{}:
		defer func() { <-v.places }()
	case <-ctx.Done():
		return Verdict{}, v.unavailable("was not asked: too many verifications are going on")
	}
	form := url.Values{"secret": {v.secret}, "response": {token}}
	if addr, err := netip.ParseAddr(clientAddr); err == nil {
		form.Set("remoteip", addr.Unmap().WithZone("").String())
	}
	if !v.provider.retry {
		return v.ask(ctx, form)
	}
	form.Set("idempotency_key", newUUID())
	first, cancelFirst := context.WithTimeout(ctx, firstTimeout)
	defer cancelFirst()
	verdict, err := v.ask(first, form)
	if err != nil && !errors.Is(err, ErrSecret) && ctx.Err() == nil {
		return v.ask(ctx, form)
	}
	return verdict, err
}

// ask is one try.
func (v *Verifier) ask(ctx context.Context, form url.Values) (Verdict, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, v.url, strings.NewReader(form.Encode()))
	if err != nil {
		return Verdict{}, v.unavailable("can't be asked")
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	resp, err := v.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // the URL may be a secret, too
		}
		return Verdict{}, v.unavailable("did not answer: %v", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return Verdict{}, v.unavailable("broke off: %v", err)
	case len(body) > maxAnswer:
		return Verdict{}, v.unavailable("answered with more than %d bytes", maxAnswer)
	case resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= 500 || resp.StatusCode >= 300 && resp.StatusCode < 400:
		return Verdict{}, v.unavailable("answered with status %d", resp.StatusCode)
	}
	said, err := readAnswer(body) // some say with 400 what is wrong with a token
	if err != nil {
		return Verdict{}, v.unavailable("answered with status %d and what is no answer: %v", resp.StatusCode, err)
	}
	if resp.StatusCode != http.StatusOK && said.success {
		return Verdict{}, v.unavailable("answered with status %d", resp.StatusCode)
	}
	return v.judge(said)
}

func (v *Verifier) unavailable(format string, args ...any) error {
	return fmt.Errorf("captcha: %s %s: %w", v.provider.name, fmt.Sprintf(format, args...), fault.Unavailable)
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
