package forms

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms/captcha"
)

// The reasons for which a submission is kept as spam, besides the captcha's own.
const (
	reasonHoneypot = "honeypot"            // a field was filled in that people do not see
	reasonTooFast  = "too_fast"            // it was sent sooner than people can fill it in
	reasonLinks    = "links"               // more links than are usual
	reasonWords    = "words"               // a word of spam
	reasonCaptcha  = "captcha_unavailable" // nobody could be asked whether it was a person
)

// flags find what looks like spam.
type flags struct {
	links int            // from which on it does; 0 for no bound
	link  *regexp.Regexp // one link
	words *phrases       // nil: none
}

func newFlags(c config.FormFlag) (f flags, err error) {
	f.links = c.Links
	if f.link, err = regexp.Compile(`(?i)https?://(?:www\.)?|\bwww\.`); err != nil || len(c.Words) == 0 {
		return f, err
	}
	f.words = newPhrases(c.Words)
	return f, nil
}

// look returns what looks like spam in the texts of s.
func (f *flags) look(s *sent) (reasons []string) {
	links, words := 0, false
	for _, i := range s.items {
		if f.links > 0 {
			links += len(f.link.FindAllStringIndex(i.text, f.links))
		}
		words = words || f.words != nil && f.words.in(i.text)
	}
	if f.links > 0 && links >= f.links {
		reasons = append(reasons, reasonLinks)
	}
	if words {
		reasons = append(reasons, reasonWords)
	}
	return reasons
}

// person asks the captcha's provider, if the form has one. The reason is a flag; the error a refusal.
func (f *Forms) person(ctx context.Context, v *visit) (reason string, err error) {
	form := v.form
	if form.captcha == nil {
		return "", nil
	}
	proof := ""
	// The same once more: a token that was good is no longer, and the visitor still the same person. Not where each time is one more invocation.
	if v.key != "" && !form.Sync {
		sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", v.key, v.digest, v.captcha))
		proof = string(sum[:])
		if reason, ok := form.proven.find(proof, time.Now()); ok {
			return reason, nil
		}
	}
	verdict, err := form.captcha.Verify(ctx, v.captcha, v.clientText())
	switch {
	case errors.Is(err, captcha.ErrSecret):
		form.noSecret.Store(true)
	case err == nil && verdict.Reason != captcha.Missing && verdict.Reason != captcha.Malformed: // the provider has looked at the token
		form.noSecret.Store(false)
	}
	switch {
	case err != nil && ctx.Err() != nil:
		return "", ctx.Err() // the visitor is away, not the provider: hanging up is no way around a captcha
	case err != nil && form.onAway == "flag":
		f.Log.Warn("captcha could not be verified: the submission is flagged", "form", form.name, "request_id", v.requestID, "err", err)
		return reasonCaptcha, nil
	case err != nil:
		f.Log.Warn("captcha could not be verified: the submission is refused", "form", form.name, "request_id", v.requestID, "err", err)
		return "", &refusal{status: 503, outcome: Unavailable, code: reasonCaptcha, after: retryAfter, detail: "It can't be verified right now that you are a person. Please try again in a moment."}
	case !verdict.Person && verdict.Reason == captcha.Again:
		return "", &refusal{status: 403, outcome: Refused, code: verdict.Reason, detail: "The check that you are a person is too old or was used before. Go back, do it once more, and send the form again."}
	case !verdict.Person:
		code := verdict.Reason
		if code == "" {
			code = "captcha"
		}
		return "", &refusal{status: 403, outcome: Refused, code: code, detail: "It could not be verified that you are a person. Go back, do the check once more, and send the form again."}
	}
	if verdict.Doubt {
		reason = verdict.Reason
	}
	if proof != "" {
		form.proven.add(proof, reason, time.Now())
	}
	return reason, nil
}

// proven remembers for a few minutes what a captcha said, by what was sent, so that sending the same again is the same.
type proven struct {
	mu       sync.Mutex
	now, old map[string]string // two ages of provenAge, each bounded
	turned   time.Time
}

const (
	provenAge = 5 * time.Minute
	maxProven = 1024
)

func newProven() *proven { return &proven{now: make(map[string]string)} }

func (p *proven) add(proof, reason string, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.turn(at); len(p.now) >= maxProven {
		p.now, p.old, p.turned = make(map[string]string), p.now, at
	}
	p.now[proof] = reason
}

// turn forgets what is too old. It is called with the lock held.
func (p *proven) turn(at time.Time) {
	switch age := at.Sub(p.turned); {
	case age > 2*provenAge:
		p.now, p.old, p.turned = make(map[string]string), nil, at
	case age > provenAge:
		p.now, p.old, p.turned = make(map[string]string), p.now, at
	}
}

func (p *proven) find(proof string, at time.Time) (reason string, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.turn(at)
	if reason, ok = p.now[proof]; !ok {
		reason, ok = p.old[proof]
	}
	return reason, ok
}
