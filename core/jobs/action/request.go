package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/jobs"
)

const (
	bodyMost      = 64 << 10 // bytes of an answer that are read
	redirectsMost = 5
)

func (a *Actions) request(ctx context.Context, h *config.JobHTTP, r jobs.Run) (jobs.Result, error) {
	req, err := newRequest(ctx, h, r)
	if err != nil {
		return jobs.Result{}, &jobs.Permanent{Err: fmt.Errorf("the request can't be made: %w", bare(err))}
	}
	answer, err := a.client.Do(req)
	if err != nil {
		return jobs.Result{}, unanswered(ctx, req.URL.Host, err)
	}
	defer answer.Body.Close()
	var body tail
	_, err = io.Copy(&body, io.LimitReader(answer.Body, bodyMost))
	said := jobs.Result{Output: body.String()}
	if refusal := judge(answer); refusal != nil {
		return said, refusal
	}
	if err != nil {
		return said, fmt.Errorf("the answer (%s) has no end: %w", status(answer), unanswered(ctx, req.URL.Host, err))
	}
	return said, nil
}

// newRequest is the request of a run. What tells the run comes after the configured fields.
func newRequest(ctx context.Context, h *config.JobHTTP, r jobs.Run) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, h.Method, h.URL, strings.NewReader(h.Body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("User-Agent", "edge")
	for name, value := range h.Headers {
		if strings.EqualFold(name, "Host") {
			req.Host = value
			continue
		}
		req.Header.Set(name, value)
	}
	req.Header.Set("X-Request-Id", r.RequestID)
	req.Header.Set("X-Edge-Job", r.Job)
	req.Header.Set("X-Edge-Run", r.ID)
	req.Header.Set("Idempotency-Key", r.ID)
	return req, nil
}

// judge says what an answer's status means; nil is success. Which ones are final is in the package's comment.
func judge(answer *http.Response) error {
	err := fmt.Errorf("the answer is %s", status(answer))
	switch code := answer.StatusCode; {
	case code >= 200 && code <= 299:
		return nil
	case code == http.StatusRequestTimeout, code == http.StatusConflict, code == http.StatusLocked, code == http.StatusTooEarly, code == http.StatusTooManyRequests,
		code < 200, code > 499:
		return later(err, retryAfter(answer.Header.Get("Retry-After"), time.Now()))
	}
	return &jobs.Permanent{Err: err}
}

// status is the answer's, in words of our own.
func status(answer *http.Response) string {
	return strings.TrimSpace(strconv.Itoa(answer.StatusCode) + " " + http.StatusText(answer.StatusCode))
}

// retryAfter reads the field of this name (RFC 9110, section 10.2.3): seconds, or a date. It is 0 for what is neither, and for what is past.
func retryAfter(field string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(field, 10, 63); err == nil {
		return time.Duration(min(seconds, uint64(longestAfter/time.Second))) * time.Second
	} else if errors.Is(err, strconv.ErrRange) {
		return longestAfter
	}
	at, err := http.ParseTime(field)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), longestAfter)
}

// unanswered is why there is no answer.
func unanswered(ctx context.Context, host string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("%s had not answered: %w", host, context.Cause(ctx))
	}
	return bare(err)
}

// bare is an error of an http.Client without the URL, which may have secrets in it.
func bare(err error) error {
	for {
		said, ok := errors.AsType[*url.Error](err)
		if !ok {
			return err
		}
		err = said.Err
	}
}

// follow decides on redirects: see the package's comment.
func follow(req *http.Request, via []*http.Request) error {
	first, before := via[0].URL, via[len(via)-1].URL
	var reason string
	switch {
	case len(via) > redirectsMost:
		reason = fmt.Sprintf("it redirects more than %d times", redirectsMost)
	case before.Scheme == "https" && req.URL.Scheme != "https":
		reason = "it redirects from https to http"
	case !strings.EqualFold(first.Hostname(), req.URL.Hostname()) || !samePort(first, req.URL):
		reason = fmt.Sprintf("it redirects to another host, %.255s, which is not followed: have that in the configuration if it is meant", req.URL.Host)
	default:
		return nil
	}
	return &jobs.Permanent{Err: errors.New(reason)}
}

// samePort reports whether both have the same port, or the second has the port of https where the first has that of http.
func samePort(a, b *url.URL) bool {
	return port(a) == port(b) || port(a) == "80" && a.Scheme == "http" && port(b) == "443" && b.Scheme == "https"
}

func port(u *url.URL) string {
	switch p := u.Port(); {
	case p != "":
		return p
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
