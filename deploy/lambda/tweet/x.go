package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	xWithin = 20 * time.Second // for a post
	xAnswer = 64 << 10         // bytes of an answer that are read
)

// x is the X API v2. https://docs.x.com/x-api/posts/create-post
type x struct {
	url    string
	signer signer
	client *http.Client
}

// The types of these errors are what Lambda shows as errorType.
type (
	// RateLimited says that X takes no more posts before Reset.
	RateLimited struct{ Reset time.Time }
	// Unauthorized says that X does not take the keys.
	Unauthorized struct{ Reason string }
	// Forbidden says that the app or the account may not post, or not this.
	Forbidden struct{ Reason string }
	// Duplicate says that X has a post of the same text.
	Duplicate struct{ Reason string }
	// Refused says that X does not take the request, whoever sends it.
	Refused struct {
		Status int
		Reason string
	}
	// Unknown says that X may or may not have the post now.
	Unknown struct{ Reason string }
)

func (e *RateLimited) Error() string {
	return "X takes no more posts of this app or account before " + e.Reset.UTC().Format(time.RFC3339)
}
func (e *Unauthorized) Error() string {
	return "X does not take the keys (are X_CONSUMER_KEY, X_CONSUMER_SECRET, X_ACCESS_TOKEN and X_ACCESS_SECRET of one app, and the clock right?): " + e.Reason
}
func (e *Forbidden) Error() string {
	return "X does not let the app or the account post this (the access token needs the right to write): " + e.Reason
}
func (e *Duplicate) Error() string { return "X has this post already: " + e.Reason }
func (e *Refused) Error() string {
	return fmt.Sprintf("X refused the post with %d: %s", e.Status, e.Reason)
}
func (e *Unknown) Error() string { return "it is not known whether X has the post now: " + e.Reason }

func isDuplicate(err error) bool { _, ok := errors.AsType[*Duplicate](err); return ok }
func isUnknown(err error) bool   { _, ok := errors.AsType[*Unknown](err); return ok }

// post posts a text and returns the post's id.
func (x *x) post(ctx context.Context, text string, now time.Time) (string, error) {
	body, err := json.Marshal(map[string]string{"text": text})
	if err != nil {
		return "", err
	}
	address := x.url + "/2/tweets"
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return "", err
	}
	request.GetBody = nil // the client may not send it again by itself
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", x.signer.authorization(http.MethodPost, address, now))
	answer, err := x.client.Do(request)
	if err != nil {
		return "", &Unknown{err.Error()}
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, xAnswer))
	if err != nil && answer.StatusCode < 300 {
		return "", &Unknown{err.Error()}
	}
	return read(answer, said, now)
}

// read tells an answer's meaning.
func read(answer *http.Response, body []byte, now time.Time) (string, error) {
	var said struct {
		Data struct {
			ID string `json:"id"`
		} `json:"data"`
		Title  string `json:"title"`
		Detail string `json:"detail"`
	}
	readable := json.Unmarshal(body, &said) == nil
	reason := strings.TrimSpace(said.Title + ": " + said.Detail)
	switch status := answer.StatusCode; {
	case status == http.StatusCreated || status == http.StatusOK:
		if !readable || said.Data.ID == "" {
			return "", &Unknown{"it answered what is no post"}
		}
		return said.Data.ID, nil
	case status == http.StatusTooManyRequests:
		return "", &RateLimited{reset(answer.Header, now)}
	case status == http.StatusUnauthorized:
		return "", &Unauthorized{reason}
	case status == http.StatusForbidden && strings.Contains(strings.ToLower(said.Detail), "duplicate"):
		return "", &Duplicate{reason}
	case status == http.StatusForbidden:
		return "", &Forbidden{reason}
	case status >= http.StatusInternalServerError:
		return "", &Unknown{fmt.Sprintf("it answered %d", status)}
	default:
		return "", &Refused{status, reason}
	}
}

// reset is when a limit ends: the later of the app's and the account's, and in 15 minutes if X does not say.
// https://docs.x.com/x-api/fundamentals/rate-limits
func reset(header http.Header, now time.Time) time.Time {
	var last time.Time
	for _, limit := range []string{"X-Rate-Limit", "X-App-Limit-24hour", "X-User-Limit-24hour"} {
		if remaining := header.Get(limit + "-Remaining"); remaining != "" && remaining != "0" {
			continue
		}
		if seconds, err := strconv.ParseInt(header.Get(limit+"-Reset"), 10, 64); err == nil && time.Unix(seconds, 0).After(last) {
			last = time.Unix(seconds, 0)
		}
	}
	if last.IsZero() {
		return now.Add(15 * time.Minute)
	}
	return last
}
