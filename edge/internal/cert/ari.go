package cert

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/mholt/acmez/v3/acme"
)

// renewalTimeout bounds asking when to renew.
const renewalTimeout = 30 * time.Second

// errNoRenewalInfo says that a CA does not tell when to renew.
var errNoRenewalInfo = errors.New("the CA has no renewal information")

// renewalWindow is when a CA wants a certificate renewed (RFC 9773, section 4.2).
type renewalWindow struct {
	start, end  time.Time
	explanation string    // URL of a page that says why then, "" if there is none
	again       time.Time // when the CA wants to be asked next; zero if it does not say
}

// renewalInfo asks when the CA wants leaf renewed. Acmez can ask, too, but takes windows of a second for malformed, and
// with such a window some CAs say that a certificate is revoked.
func (ca *acmeCA) renewalInfo(ctx context.Context, leaf *x509.Certificate) (renewalWindow, error) {
	ctx, cancel := context.WithTimeout(ctx, renewalTimeout)
	defer cancel()
	if err := ca.reach.wait(ctx, ca); err != nil {
		return renewalWindow{}, err
	}
	base := ca.reach.renewalInfo()
	if base == "" {
		ca.reach.doubt() // for the next certificate
		return renewalWindow{}, errNoRenewalInfo
	}
	id, err := acme.ARIUniqueIdentifier(leaf)
	if err != nil {
		return renewalWindow{}, err
	}
	body, header, err := ca.get(ctx, strings.TrimSuffix(base, "/")+"/"+id)
	if err != nil {
		ca.reach.doubt() // the directory may say another place by now
		return renewalWindow{}, err
	}
	window, err := parseRenewalWindow(body)
	window.again, _ = retryAfter(header)
	return window, err
}

// incurious keeps from acmez that a CA has renewal information: it would ask for that in the middle of an order, to throw it
// away, and wait for a minute and a half where nothing answers.
type incurious struct{ next http.RoundTripper }

func (i incurious) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := i.next.RoundTrip(req)
	if err != nil || req.Method != http.MethodGet || resp.StatusCode != http.StatusOK {
		return resp, err // all but the directory is asked for by other methods (RFC 8555, section 6.3)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(body, &said) == nil {
		maps.DeleteFunc(said, func(name string, _ json.RawMessage) bool { return strings.EqualFold(name, "renewalInfo") })
		if body, err = json.Marshal(said); err != nil {
			return nil, err
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return resp, nil
}

// get asks the CA for what needs no account.
func (ca *acmeCA) get(ctx context.Context, address string) ([]byte, http.Header, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, nil, err
	}
	resp, err := ca.http.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answers %s", address, resp.Status)
	}
	return body, resp.Header, err
}

// parseRenewalWindow reads a RenewalInfo object. A window that ends no later than it starts is malformed (RFC 9773, section 4.2).
func parseRenewalWindow(body []byte) (renewalWindow, error) {
	var info struct {
		Window struct {
			Start time.Time `json:"start"`
			End   time.Time `json:"end"`
		} `json:"suggestedWindow"`
		Explanation string `json:"explanationURL"`
	}
	if err := json.Unmarshal(body, &info); err != nil {
		return renewalWindow{}, fmt.Errorf("renewal information: %w", err)
	}
	window := renewalWindow{start: info.Window.Start, end: info.Window.End}
	if window.start.IsZero() || !window.end.After(window.start) {
		return renewalWindow{}, fmt.Errorf("renewal information: a window from %v to %v", window.start, window.end)
	}
	if u, err := url.Parse(info.Explanation); err == nil && (u.Scheme == "https" || u.Scheme == "http") {
		window.explanation = oneLine(info.Explanation)
	}
	return window, nil
}
