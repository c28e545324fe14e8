package target

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"

	"github.com/onehost/edge/core/config"
)

// userAgent tells an application that a request is a health check, as ALB's ELB-HealthChecker/2.0 does.
const userAgent = "edge-health/1"

// result is what one check has found.
type result struct {
	pass         bool
	inconclusive bool // it says nothing about the target
	reason       Reason
	description  string
}

// Of an answer to a check so much is read: who closes on an unread body makes the application log an error.
const (
	maxCheckHead = 64 << 10
	maxCheckBody = 64 << 10
)

// check asks t once, on a connection of its own that is closed afterwards.
func (t *Target) check(parent context.Context, s healthSettings) result {
	ctx, cancel := context.WithTimeout(parent, s.Timeout)
	defer cancel()
	way := t.checkTransport()
	defer way.CloseIdleConnections()

	request, err := t.checkRequest(ctx, s.Path)
	if err != nil {
		return result{reason: FailedHealthChecks, description: err.Error()}
	}
	answer, err := way.RoundTrip(request)
	if err != nil {
		return failed(parent, err, s)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, maxCheckBody)); err != nil {
		return failed(parent, err, s)
	}
	if !matches(s.Status, answer.StatusCode) {
		return result{reason: ResponseCodeMismatch, description: "Health checks failed with these codes: [" + strconv.Itoa(answer.StatusCode) + "]"}
	}
	return result{pass: true}
}

func (t *Target) checkTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(t.addr.Scheme != "h2c")
	protocols.SetUnencryptedHTTP2(t.addr.Scheme == "h2c")
	return &http.Transport{
		DialContext:            func(ctx context.Context, _, _ string) (net.Conn, error) { return t.Dial(ctx) },
		TLSClientConfig:        t.addr.TLSConfig(),
		Protocols:              &protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true,
		MaxResponseHeaderBytes: maxCheckHead,
	}
}

func (t *Target) checkRequest(ctx context.Context, path string) (*http.Request, error) {
	scheme := "http"
	if t.addr.Scheme == "https" {
		scheme = "https"
	}
	place, err := url.ParseRequestURI(path)
	if err != nil {
		return nil, err
	}
	place.Scheme, place.Host = scheme, t.addr.Host
	request := &http.Request{Method: http.MethodGet, URL: place, Host: t.addr.Host, Header: http.Header{"User-Agent": {userAgent}}}
	return request.WithContext(ctx), nil
}

func failed(ctx context.Context, err error, s healthSettings) result {
	switch {
	case ctx.Err() != nil, isOurFault(err):
		return result{inconclusive: true}
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return result{reason: TimedOut, description: fmt.Sprintf("Request timed out (%v)", s.Timeout)}
	default:
		return result{reason: FailedHealthChecks, description: "Health checks failed: " + whyNot(err)}
	}
}

func matches(ranges []config.StatusRange, status int) bool {
	for _, r := range ranges {
		if r.From <= status && status <= r.To {
			return true
		}
	}
	return false
}
