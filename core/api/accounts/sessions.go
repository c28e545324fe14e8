package accounts

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/api/rows"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
)

// sessions has a document for each session that goes on. Its id begins with the user's document id, and is in lower case, as paths are read. With refresh, n counts its renewals.
const sessions = "api-sessions"

const (
	grace       = 10 * time.Second // how long a renewal that was answered is answered again
	maxSessions = 100              // of one user; beyond, the oldest ends
	maxAgent    = 256              // bytes of a device's description
)

// A grant is what who has logged in gets.
type grant struct {
	access, renewal string // renewal is "" without refresh
	until           time.Time
}

// A device is what a session runs on, as it says itself.
type device struct{ id, agent, address string }

// sessionUser is the document id of a session's user.
func sessionUser(id string) string {
	user, _, _ := strings.Cut(id, ".")
	return user
}

// newSession is the document of a new session of a user.
func (a *Accounts) newSession(user store.Document, on device) store.Document {
	now, doc := a.now(), user.String(rows.DocumentID)
	d := store.Document{
		"id": doc + "." + strings.ToLower(rand.Text()), "user": doc, "n": int64(0), "begun": now, "used": now,
		"device": on.id, "agent": on.agent, "address": on.address,
	}
	if s := a.rules.Load().config.Sessions; s.Refresh {
		d["end"] = now.Add(s.Max)
		d["until"] = now.Add(min(s.Idle, s.Max))
	} else {
		d["end"], d["until"] = now.Add(s.Access), now.Add(s.Access)
	}
	return d
}

// begin returns what adds a session of a user, if the user's password is still the one that was checked.
func (a *Accounts) begin(session store.Document, hash string) []store.Write {
	return []store.Write{
		store.Update{Collection: credentials, Filter: store.And{store.ID(session.String("user")), store.Eq("hash", hash)}, Change: store.Change{Set: store.Document{"used": a.now()}}, Must: 1},
		store.Insert{Collection: sessions, Document: session},
	}
}

// grant makes the tokens of a session.
func (a *Accounts) grant(number int64, session store.Document) (g grant, err error) {
	s := a.rules.Load().config.Sessions
	end := session.Time("until")
	if g.access, err = a.sign(forAccess, claims{User: number, Session: session.ID()}, earlier(a.now().Add(s.Access), session.Time("end"))); err != nil || !s.Refresh {
		return g, err
	}
	g.until = end
	g.renewal, err = a.sign(forRenewal, claims{Session: session.ID(), Renewal: session.Int("n")}, end)
	return g, err
}

func earlier(x, y time.Time) time.Time {
	if y.Before(x) {
		return y
	}
	return x
}

// renew makes new tokens of a renewal token. It is errToken when it is not good, or not good any more.
func (a *Accounts) renew(ctx context.Context, token string) (grant, error) {
	c, err := a.verify(ctx, forRenewal, token)
	if err != nil {
		return grant{}, err
	}
	user, err := a.userOf(ctx, c.Session)
	if err != nil {
		return grant{}, err
	}
	now, idle := a.now(), a.rules.Load().config.Sessions.Idle
	session, err := a.Store.Get(ctx, sessions, c.Session)
	if err != nil {
		return grant{}, gone(err)
	}
	until := earlier(now.Add(idle), session.Time("end"))
	renewed, err := a.Store.Claim(ctx, store.Query{Collection: sessions, Filter: store.And{store.ID(c.Session), store.Eq("n", c.Renewal), store.Gt("until", now)}},
		store.Change{Add: map[string]int64{"n": 1}, Set: store.Document{"used": now, "until": until}})
	switch {
	case err == nil:
		return a.grant(user.Int(rows.Number), renewed)
	case fault.CodeOf(err) != fault.NotFound:
		return grant{}, err
	}
	if session, err = a.Store.Get(ctx, sessions, c.Session); err != nil {
		return grant{}, gone(err)
	}
	if session.Int("n") == c.Renewal+1 && now.Sub(session.Time("used")) < grace {
		return a.grant(user.Int(rows.Number), session)
	}
	if session.Int("n") > c.Renewal {
		a.Log.Warn("a token that had renewed a session already was used again: the session has been ended, because one of the two was not its owner", "user", user.String("username"), "session", c.Session)
	}
	if _, err := a.Store.Apply(ctx, store.Delete{Collection: sessions, Filter: store.ID(c.Session)}); err != nil {
		return grant{}, err
	}
	return grant{}, errToken
}

// gone is errToken when there is no such document.
func gone(err error) error {
	if fault.CodeOf(err) == fault.NotFound {
		return errToken
	}
	return err
}

// userOf is the row of a session's user; errToken when there is none who may log in.
func (a *Accounts) userOf(ctx context.Context, session string) (store.Document, error) {
	u := a.rules.Load()
	user, err := a.Store.Get(ctx, rows.Name(u.user), sessionUser(session))
	if err != nil {
		return nil, gone(err)
	}
	if user.Bool("blocked") || u.config.Confirm && !user.Bool("confirmed") {
		return nil, errToken
	}
	return user, nil
}

// endSessions ends those sessions that meet the filter, in portions, and returns how many there were.
func (a *Accounts) endSessions(ctx context.Context, f store.Filter) (int, error) {
	const portion = 1000
	total := 0
	for {
		found, err := a.Store.Find(ctx, store.Query{Collection: sessions, Filter: f, Limit: portion, Fields: []string{}})
		if err != nil || len(found) == 0 {
			return total, err
		}
		ids := make([]any, len(found))
		for i, d := range found {
			ids[i] = d.ID()
		}
		n, err := a.Store.Apply(ctx, store.Delete{Collection: sessions, Filter: store.In{Field: "id", Values: ids}})
		if err != nil {
			return total, err
		}
		total += n[0]
	}
}

// listed are the sessions of a user that go on, the latest used first.
func (a *Accounts) listed(ctx context.Context, user string) ([]store.Document, error) {
	f := store.And{store.Eq("user", user), store.Gt("until", a.now())}
	return a.Store.Find(ctx, store.Query{Collection: sessions, Filter: f, Sort: []store.Order{{Field: "used", Descending: true}}, Limit: 1000})
}

// spare ends the sessions of a user that are too many: those that were not used for longest.
func (a *Accounts) spare(ctx context.Context, user string) error {
	n, err := a.Store.Count(ctx, sessions, store.Eq("user", user))
	if err != nil || n <= maxSessions {
		return err
	}
	all, err := a.listed(ctx, user)
	if err != nil || len(all) <= maxSessions {
		return err
	}
	oldest := all[maxSessions-1].Time("used")
	_, err = a.Store.Apply(ctx, store.Delete{Collection: sessions, Filter: store.And{store.Eq("user", user), store.Lt("used", oldest)}})
	return err
}

// endOne ends one session of a user, and reports whether there was one.
func (a *Accounts) endOne(ctx context.Context, user, id string) (bool, error) {
	n, err := a.Store.Apply(ctx, store.Delete{Collection: sessions, Filter: store.And{store.ID(id), store.Eq("user", user)}})
	return err == nil && n[0] > 0, err
}

// EndSessions ends all sessions of a user, and returns how many there were.
func (a *Accounts) EndSessions(ctx context.Context, who string) (int, error) {
	user, err := a.find(ctx, who)
	if err != nil {
		return 0, err
	}
	return a.endSessions(ctx, store.Eq("user", user.String(rows.DocumentID)))
}

// open logs a user in whose password has this hash.
func (a *Accounts) open(ctx context.Context, user store.Document, hash string, on device, also ...store.Write) (grant, error) {
	session := a.newSession(user, on)
	if _, err := a.Store.Apply(ctx, append(a.begin(session, hash), also...)...); err != nil {
		if fault.CodeOf(err) == fault.Conflict {
			return grant{}, errors.Join(errChanged, err)
		}
		return grant{}, err
	}
	if err := a.spare(ctx, user.String(rows.DocumentID)); err != nil {
		return grant{}, fmt.Errorf("the oldest sessions: %w", err)
	}
	return a.grant(user.Int(rows.Number), session)
}

// errChanged is that a password is not the one that was checked any more.
var errChanged = errors.New("the password has changed meanwhile")
