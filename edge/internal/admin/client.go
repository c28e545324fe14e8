package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"

	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/target"
)

// maxAnswer bounds what a client reads of an answer, in bytes.
const maxAnswer = 64 << 20

// A Client asks a running server. Its calls last as long as their context lets them.
type Client struct {
	path string
	http *http.Client
}

// NewClient returns a client for the admin socket at path. Nothing is opened before the first call.
func NewClient(path string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}
	return &Client{path, &http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status returns the state of the server.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
}

// Certificates returns what is known of every certificate.
func (c *Client) Certificates(ctx context.Context) (all []cert.Status, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/certs", nil, &all)
}

// RenewCertificate has the server get a new certificate for a host at once, and waits for what becomes of it.
func (c *Client) RenewCertificate(ctx context.Context, host string) error {
	return c.call(ctx, http.MethodPost, "/v1/certs/"+url.PathEscape(host)+"/renew", nil, nil)
}

// CheckStore has the server look for damage in the store.
func (c *Client) CheckStore(ctx context.Context) error {
	return c.call(ctx, http.MethodPost, "/v1/store/check", nil, nil)
}

// Targets returns every target group.
func (c *Client) Targets(ctx context.Context) (all []target.GroupStatus, err error) {
	return all, c.call(ctx, http.MethodGet, "/v1/targets", nil, &all)
}

// Reload has the server read its configuration again.
func (c *Client) Reload(ctx context.Context) (o ReloadOutcome, err error) {
	return o, c.call(ctx, http.MethodPost, "/v1/reload", nil, &o)
}

// AddTarget adds a target to a group.
func (c *Client) AddTarget(ctx context.Context, group, targetURL string, weight int) error {
	return c.change(ctx, group, "add", targetRequest{URL: targetURL, Weight: &weight})
}

// DrainTarget lets a target finish what it has and gives it nothing new.
func (c *Client) DrainTarget(ctx context.Context, group, targetURL string) error {
	return c.change(ctx, group, "drain", targetRequest{URL: targetURL})
}

// RemoveTarget drains a target and forgets it.
func (c *Client) RemoveTarget(ctx context.Context, group, targetURL string) error {
	return c.change(ctx, group, "remove", targetRequest{URL: targetURL})
}

func (c *Client) change(ctx context.Context, group, change string, body targetRequest) error {
	return c.call(ctx, http.MethodPost, "/v1/targets/"+url.PathEscape(group)+"/"+change, body, nil)
}

// call asks and decodes the answer into into, if that is not nil. An error answer is an *Error.
func (c *Client) call(ctx context.Context, method, path string, body, into any) error {
	var sent io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			return err
		}
		sent = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, "http://edge"+path, sent)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return explainDial(c.path, err)
	}
	defer answer.Body.Close()
	data, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	switch {
	case err != nil:
		return err
	case answer.StatusCode >= 400:
		refused := new(Error)
		if json.Unmarshal(data, refused) != nil || refused.Message == "" {
			refused.Message = fmt.Sprintf("the server answers %s", answer.Status)
		}
		return refused
	case into == nil:
		return nil
	default:
		return json.Unmarshal(data, into)
	}
}
