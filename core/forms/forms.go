// Package forms answers public forms: it reads what visitors send, screens it, keeps it (package submissions delivers it to a
// function) or passes it to a function at once, and thanks.
//
// In come requests of anybody: nothing in them is believed, all of it is bounded, and what is refused is refused as early and as cheaply as
// can be. What a form's fields mean is the function's business.
//
// # The way of a submission
//
// Cheapest first, so that a flood costs next to nothing:
//
//  1. Limits: the client's address and its network, and the places of the form ([limiter]).
//  2. The head: method, media type, origin, length. Only then the body is read, and decoded strictly.
//  3. The page's token ([token]), which has people without JavaScript press one more button.
//  4. The rules of the fields: what is wrong is said field by field. They come before the captcha, whose token is good only once: who has
//     mistyped an address doesn't have to prove again that he is a person.
//  5. The captcha.
//  6. What looks like spam is flagged: it is kept aside, and answered like everything else.
//  7. It is kept, and the visitor is thanked; or, if the form is sync, invoked, and the function's answer passed on.
//
// So origin and captcha refuse, and content only flags.
package forms

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync/atomic"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/forms/captcha"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/lambda/gateway"
)

// Options are what Forms needs.
type Options struct {
	Submissions *submissions.Submissions
	Invoke      gateway.Invoker // for forms that are sync
	Key         []byte          // signs page tokens: the same on all hosts that share a name. Empty: one of this process
	Client      *http.Client    // asks the providers of captchas; nil for an ordinary one
	Log         *slog.Logger
}

// Forms is the http.Handler of all forms. The last segment of a path is the form's name: POST …/NAME, GET …/NAME/token,
// GET …/NAME/thanks. RemoteAddr is who asks, and X-Request-Id the request's id.
type Forms struct {
	Options
	tokens tokens
	pages  *pages
	forms  atomic.Pointer[map[string]*form]
}

// New returns the handler, with no form before the first [Plan.Commit].
func New(o Options) *Forms {
	key := o.Key
	if len(key) == 0 {
		key = make([]byte, 32)
		_, _ = rand.Read(key) // never fails
	}
	signer, err := newTokens(key)
	if err != nil {
		panic(err) // 32 bytes can always be derived, but in FIPS mode of a key of less than 14
	}
	f := &Forms{Options: o, tokens: signer, pages: newPages()}
	f.forms.Store(&map[string]*form{})
	return f
}

// A form is one form as it is configured.
type form struct {
	config.Form
	name     string
	limits   *limiter // of POST
	fetches  *limiter // of GET …/token
	origins  origins
	rules    []rule // by name
	flags    flags
	captcha  *captcha.Verifier // nil: nobody is asked
	onAway   string            // what is done when the captcha's provider is: "reject" or "flag"
	proven   *proven           // what the captcha said
	noSecret atomic.Bool       // the captcha's provider does not know the secret
	policy   string            // the Content-Security-Policy of its pages
	counts   *counts
}

// Plan is a configuration that is ready to be taken into service.
type Plan struct {
	forms *Forms
	next  map[string]*form
}

// Plan prepares a configuration. What a limit counts goes on if the limit did not change.
func (f *Forms) Plan(cfg *config.Config) (*Plan, error) {
	before := *f.forms.Load()
	p := &Plan{forms: f, next: make(map[string]*form, len(cfg.Forms))}
	for _, name := range slices.Sorted(maps.Keys(cfg.Forms)) {
		next, err := f.newForm(name, cfg.Forms[name], before[name])
		if err != nil {
			return nil, fmt.Errorf("forms.%s: %w", name, err)
		}
		p.next[name] = next
	}
	return p, nil
}

// Commit takes the plan into service. A request keeps the form that it began with.
func (p *Plan) Commit() { p.forms.forms.Store(&p.next) }

// Attention returns what needs a person, by the form that it is about.
func (f *Forms) Attention() map[string]string {
	matters := make(map[string]string)
	for name, form := range *f.forms.Load() {
		if form.noSecret.Load() {
			matters[name] = "form " + name + ": the captcha's provider refuses the secret, so that it can't be told who is a person"
		}
	}
	return matters
}

func (f *Forms) newForm(name string, c config.Form, old *form) (*form, error) {
	next := &form{Form: c, name: name, origins: newOrigins(c.Origins), policy: f.pages.policy(c.Redirect)}
	if old != nil {
		next.limits, next.fetches = newLimiter(c.Limits, old.limits), newLimiter(fetching(c.Limits), old.fetches)
		next.counts, next.proven = old.counts, old.proven
	} else {
		next.limits, next.fetches = newLimiter(c.Limits, nil), newLimiter(fetching(c.Limits), nil)
		next.counts, next.proven = new(counts), newProven()
	}
	var err error
	if next.flags, err = newFlags(c.Flag); err != nil {
		return nil, err
	}
	for _, field := range slices.Sorted(maps.Keys(c.Fields)) {
		r, err := newRule(field, c.Fields[field])
		if err != nil {
			return nil, fmt.Errorf("fields.%s: %w", field, err)
		}
		next.rules = append(next.rules, r)
	}
	if c.Captcha == nil {
		return next, nil
	}
	if next.captcha, err = captcha.New(c.Captcha, hostnames(c.Origins), f.Client); err != nil {
		return nil, err
	}
	next.onAway = "reject"
	for _, s := range []*config.CaptchaService{c.Captcha.ReCAPTCHA, c.Captcha.Turnstile, c.Captcha.HCaptcha} {
		if s != nil && s.Unavailable != "" {
			next.onAway = s.Unavailable
		}
	}
	return next, nil
}

// fetching are the limits of tokens: a page that is looked at fetches one, and few of them are sent.
func fetching(l config.Limits) config.Limits {
	l.Rate.N *= networkShare
	l.Burst *= networkShare
	return l
}

// Check says what is wrong with the forms of a configuration, as far as only this package can know.
func Check(cfg *config.Config) (problems []config.Problem) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Forms)) {
		c := &check{cfg: cfg, at: []any{"forms", name}}
		c.form(cfg.Forms[name])
		problems = append(problems, c.problems...)
	}
	return problems
}

// A check looks at one form.
type check struct {
	cfg      *config.Config
	at       []any
	problems []config.Problem
}

func (c *check) wrong(message string, below ...any) {
	c.problems = append(c.problems, c.cfg.Problem(message, append(slices.Clone(c.at), below...)...))
}

func (c *check) form(f config.Form) {
	for i, origin := range f.Origins {
		if err := checkOrigin(origin); err != nil {
			c.wrong(c.cfg.Show(origin, append(slices.Clone(c.at), "origins", i)...)+" "+err.Error(), "origins", i)
		}
	}
	reserved := map[string]string{tokenField: "the page's token"}
	if f.Captcha != nil {
		if v, err := captcha.New(f.Captcha, hostnames(f.Origins), nil); err != nil {
			c.wrong(err.Error(), "captcha")
		} else {
			reserved[v.Field()] = "the captcha's"
		}
	}
	if whose := reserved[f.Honeypot]; whose != "" {
		c.wrong(f.Honeypot+" is "+whose+" field already; give the honeypot another name", "honeypot")
	}
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		field := f.Fields[name]
		if whose := reserved[name]; whose != "" {
			c.wrong(name+" is "+whose+" field, which is taken out; give this field another name", "fields", name)
		}
		if _, err := newRule(name, field); err != nil {
			c.wrong(err.Error(), "fields", name, "pattern")
		}
		for i, option := range field.Options {
			if slices.Contains(field.Options[:i], option) {
				c.wrong("this option is there twice", "fields", name, "options", i)
			}
		}
		if field.Type == "file" && field.Size > f.Limits.Body && f.Limits.Body > 0 {
			c.wrong("a file can't be larger than the form's body, which limits.body bounds", "fields", name, "size")
		}
	}
}
