package action

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const pingMost = 10_000 // bytes of a body that watchers keep

var errCut = errors.New("edge ended before")

// send sends a ping, and again when it does not arrive, unless its watcher is known to be away or edge ends.
func (p *Pings) send(ending, work context.Context, one ping, lost bool) error {
	for try := 0; ; try++ {
		again, err := p.post(work, one)
		if err == nil || !again || lost || try == len(p.pauses) || ending.Err() != nil {
			return err
		}
		pause := time.NewTimer(p.pauses[try])
		select {
		case <-ending.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// post sends a ping once. again is whether a failure may pass.
func (p *Pings) post(work context.Context, one ping) (again bool, err error) {
	select {
	case p.places <- struct{}{}:
		defer func() { <-p.places }()
	case <-work.Done():
		return false, errCut
	}
	ctx, cancel := context.WithTimeout(work, pingWithin)
	defer cancel()
	at, err := one.address()
	if err != nil {
		return false, fmt.Errorf("its URL is none: %w", bare(err))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.String(), strings.NewReader(one.body))
	if err != nil {
		return false, fmt.Errorf("its URL is none: %w", bare(err))
	}
	req.Header.Set("User-Agent", "edge")
	req.Header.Set("Content-Type", "text/plain; charset=utf-8")
	answer, err := p.client.Do(req)
	if err != nil {
		return true, unanswered(ctx, at.Host, err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(io.LimitReader(answer.Body, 100))
	if err != nil {
		return true, unanswered(ctx, at.Host, err)
	}
	if judge(answer) != nil {
		return answer.StatusCode > 499 || answer.StatusCode == http.StatusRequestTimeout, fmt.Errorf("%s answers %s", at.Host, status(answer))
	}
	if text := strings.TrimSpace(string(said)); strings.HasPrefix(text, "OK (") { // "OK (not found)", "OK (rate limited)": it was not taken
		return false, fmt.Errorf("%s answers %q", at.Host, end(text))
	}
	return false, nil
}

// address is where a ping goes. What the URL has for a query stays.
func (one ping) address() (*url.URL, error) {
	at, err := url.Parse(one.url)
	if err != nil {
		return nil, err
	}
	if one.path != "" {
		at = at.JoinPath(one.path)
	}
	if at.RawQuery != "" {
		at.RawQuery += "&"
	}
	at.RawQuery += "rid=" + one.rid
	return at, nil
}

// shortened is a body that a watcher keeps all of: the beginning, which has the reason, and the end.
func shortened(body string) string {
	const gap = "\n…\n"
	body = printable(body)
	if len(body) <= pingMost {
		return body
	}
	head := strings.ToValidUTF8(body[:pingMost/2-len(gap)], "")
	return head + gap + last(body, pingMost/2)
}

// isLost reports whether the job's watcher could not be told the last time.
func (p *Pings) isLost(job string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lost[job]
}

// tell logs when a watcher can't be told any more, and when it can again.
func (p *Pings) tell(job string, err error) {
	p.mu.Lock()
	before := p.lost[job]
	if err != nil {
		p.lost[job] = true
	} else {
		delete(p.lost, job)
	}
	p.mu.Unlock()
	switch {
	case err != nil && !before:
		p.log.Warn("jobs: the watcher of a job was not told; it may take the job for one that did not run", "job", job, "error", err)
	case err == nil && before:
		p.log.Info("jobs: the watcher of a job is told again", "job", job)
	}
}
