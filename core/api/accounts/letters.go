package accounts

import (
	"context"
	"html"
	"net/url"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
)

// letters has a document for each mail that was asked for and is still to be sent, or found to be for nobody. Its id is made of the kind and the address: who
// asks twice before it was sent gets one. It holds no code: that is made when the mail is.
const letters = "api-mails"

const (
	lookEvery  = 5 * time.Second  // for mails that another host, or an earlier try, has left
	sendWithin = time.Minute      // one try; another host may try after that
	firstPause = 10 * time.Second // after a try that failed: three times as long each time
	lastPause  = 30 * time.Minute
	sayEvery   = time.Minute // that mail is not configured
)

// ask has a mail sent to who has this address, if anybody has. What it does is the same for every address. base is where the api is seen, such as
// https://api.example.com/api.
func (a *Accounts) ask(ctx context.Context, k kind, email, base string) error {
	if a.Mailer == nil {
		a.sayNoMail(k)
		return nil
	}
	now := a.now()
	d := store.Document{"id": string(k) + "." + sum(email), "kind": string(k), "email": email, "base": base, "asked": now, "due": now, "tries": int64(0), "until": now.Add(k.life())}
	if _, err := a.Store.Apply(ctx, store.Put{Collection: letters, Document: d}); err != nil {
		return err
	}
	select {
	case a.mails <- struct{}{}:
	default:
	}
	return nil
}

func (a *Accounts) sayNoMail(k kind) {
	now, last := a.now().Unix(), a.warned.Load()
	if now-last >= int64(sayEvery/time.Second) && a.warned.CompareAndSwap(last, now) {
		a.Log.Warn("a mail was asked for and none can be sent: configure mail, with smtp or ses, and from", "about", string(k))
	}
}

// deliver sends mails until ctx ends.
func (a *Accounts) deliver(ctx context.Context) error {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		if a.deliverOne(ctx) && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-a.mails:
		case <-tick.C:
		}
	}
}

// deliverOne sends the mail that has been due for longest, and reports whether there was one.
func (a *Accounts) deliverOne(ctx context.Context) bool {
	now := a.now()
	d, err := a.Store.Claim(ctx, store.Query{Collection: letters, Filter: store.Lte("due", now), Sort: []store.Order{{Field: "due"}}},
		store.Change{Add: map[string]int64{"tries": 1}, Set: store.Document{"due": now.Add(sendWithin)}})
	if err != nil {
		if fault.CodeOf(err) != fault.NotFound && ctx.Err() == nil {
			a.Log.Warn("mails that are to be sent can't be looked up: they wait", "err", err)
		}
		return false
	}
	try, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	err = a.write(try, d)
	this := store.And{store.ID(d.ID()), store.Eq("asked", d.Time("asked"))} // who has asked again meanwhile gets another
	var after store.Write = store.Delete{Collection: letters, Filter: this}
	switch code := fault.CodeOf(err); {
	case err == nil:
	case ctx.Err() != nil:
		return false
	case code == fault.Invalid:
		a.Log.Warn("a mail can never be sent", "about", d.String("kind"), "err", err)
	default:
		pause := pauseAfter(d.Int("tries"))
		a.Log.Warn("a mail could not be sent: it is tried again", "about", d.String("kind"), "in", pause, "err", err)
		after = store.Update{Collection: letters, Filter: this, Change: store.Change{Set: store.Document{"due": a.now().Add(pause)}}}
	}
	if _, err := a.Store.Apply(ctx, after); err != nil && ctx.Err() == nil {
		a.Log.Warn("what has become of a mail could not be noted: it may be sent again", "err", err)
	}
	return true
}

// pauseAfter is how long to wait after so many tries.
func pauseAfter(tries int64) time.Duration {
	pause := firstPause
	for ; tries > 1 && pause < lastPause; tries-- {
		pause *= 3
	}
	return min(pause, lastPause)
}

// write writes and sends one mail, if there is somebody to get it.
func (a *Accounts) write(ctx context.Context, d store.Document) error {
	k := kind(d.String("kind"))
	user, err := a.byField(ctx, "email", d.String("email"))
	if err != nil || user == nil || user.Bool("blocked") || k == confirm && user.Bool("confirmed") {
		return err
	}
	code, err := a.newCode(ctx, k, user)
	if err != nil {
		return err
	}
	m := a.resetMail(user, code)
	if k == confirm {
		m = confirmMail(user, d.String("base")+"/auth/email-confirmation?confirmation="+url.QueryEscape(code))
	}
	return a.Mailer.Send(ctx, m)
}

func (a *Accounts) resetMail(user store.Document, code string) mail.Message {
	page := a.rules.Load().config.Pages.Reset
	if page == "" {
		return letter(user, "Reset password", "We heard that you lost your password. With this code you can set a new one within an hour:", code,
			"If it was not you who asked, nothing has to be done.")
	}
	return letter(user, "Reset password", "We heard that you lost your password. Follow this link within an hour to set a new one:", withCode(page, code),
		"If it was not you who asked, nothing has to be done.")
}

func confirmMail(user store.Document, link string) mail.Message {
	return letter(user, "Account confirmation", "Thank you for registering. Follow this link within a week to confirm your address:", link,
		"If it was not you who registered, nothing has to be done.")
}

// withCode is a page's address with ?code=….
func withCode(page, code string) string {
	u, err := url.Parse(page)
	if err != nil {
		return page + "?code=" + url.QueryEscape(code)
	}
	q := u.Query()
	q.Set("code", code)
	u.RawQuery = q.Encode()
	return u.String()
}

// letter is a mail that says what to do, and with what: a link, or a code. No text of the user's own is in it: who registers with somebody else's address can't have
// us send him anything.
func letter(user store.Document, subject, before, what, after string) mail.Message {
	shown := html.EscapeString(what)
	if strings.HasPrefix(what, "https://") || strings.HasPrefix(what, "http://") {
		shown = `<a href="` + shown + `">` + shown + `</a>`
	}
	return mail.Message{
		To:      []string{user.String("email")},
		Subject: subject,
		Text:    before + "\n\n" + what + "\n\n" + after + "\n",
		HTML:    "<p>" + html.EscapeString(before) + "</p>\n<p>" + shown + "</p>\n<p>" + html.EscapeString(after) + "</p>\n",
		Header:  map[string]string{"Auto-Submitted": "auto-generated"}, // RFC 3834, section 5
	}
}

// byField finds the user with a value in a unique field; nil if there is none.
func (a *Accounts) byField(ctx context.Context, field, value string) (store.Document, error) {
	found, err := a.Store.Find(ctx, store.Query{Collection: rows.Name(a.rules.Load().user), Filter: store.Eq(field, value), Limit: 1})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}
