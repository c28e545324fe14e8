package target

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
)

func sticky(cfg config.TargetGroup) config.TargetGroup {
	cfg.Stickiness = &config.Stickiness{Cookie: "EDGESESSION", For: 24 * time.Hour}
	return cfg
}

func TestAVisitorSticksToATarget(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		app := g.one(sticky(unchecked(a, b, c)))
		if app.CookieName() != "EDGESESSION" {
			t.Errorf("cookie %q", app.CookieName())
		}
		first := choose(t, app, Choice{})
		cookie := cookieValue(first.SetCookie(false))
		for range 10 {
			l := choose(t, app, Choice{Cookie: cookie})
			if l.Target != first.Target || l.SetCookie(false) != "" {
				t.Fatalf("%s and then %s, %q", first.Target, l.Target, l.SetCookie(false))
			}
		}
		pass(13 * time.Hour) // more than half its life: a new one, for the same target
		l := choose(t, app, Choice{Cookie: cookie})
		renewed := cookieValue(l.SetCookie(false))
		if l.Target != first.Target || renewed == "" || renewed == cookie {
			t.Errorf("%s, %q", l.Target, renewed)
		}
		pass(12 * time.Hour)
		l = choose(t, app, Choice{Cookie: cookie})
		if l.SetCookie(false) == "" || l.Target == first.Target {
			t.Error("an expired cookie holds")
		}
		if l = choose(t, app, Choice{Cookie: renewed}); l.Target != first.Target {
			t.Error("the renewed cookie does not hold")
		}
	})
}

func TestACookieForATargetThatIsOutGetsANewOne(t *testing.T) {
	out := map[string]func(*testing.T, *Groups, *fakeNet){
		"unhealthy": func(_ *testing.T, _ *Groups, network *fakeNet) { network.set(a, nil) },
		"drained":   func(t *testing.T, g *Groups, _ *fakeNet) { must(t, g.Drain("app", a)) },
		"removed":   func(_ *testing.T, g *Groups, _ *fakeNet) { g.one(sticky(group(b))) },
	}
	for name, put := range out {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
				app := g.one(sticky(group(a, b)))
				pass(0)
				l := choose(t, app, Choice{})
				for l.Target.String() != a {
					l = choose(t, app, Choice{})
				}
				cookie := cookieValue(l.SetCookie(false))
				if !app.Remembers(cookie) {
					t.Error("not remembered")
				}
				put(t, g, network)
				pass(90 * time.Second)
				l = choose(t, app, Choice{Cookie: cookie})
				if l.Target.String() != b || l.SetCookie(false) == "" || app.Remembers(cookie) {
					t.Errorf("%s, %q", l.Target, l.SetCookie(false))
				}
			})
		})
	}
}

func TestWeightZeroKeepsItsVisitors(t *testing.T) {
	g := NewGroups(Options{})
	app := g.one(sticky(unchecked(a)))
	cookie := cookieValue(choose(t, app, Choice{}).SetCookie(false))
	g.one(weighted(sticky(unchecked(a, b)), 0, 1))
	if l := choose(t, app, Choice{Cookie: cookie}); l.Target.String() != a {
		t.Errorf("a stuck visitor went to %s", l.Target)
	}
	if got := picks(t, app, 5); got[a] != 0 {
		t.Errorf("new ones: %v", got)
	}
}

func TestARetryLeavesTheTargetOfTheCookie(t *testing.T) {
	g := NewGroups(Options{})
	app := g.one(sticky(unchecked(a, b)))
	l := choose(t, app, Choice{})
	cookie := cookieValue(l.SetCookie(false))
	again := choose(t, app, Choice{Cookie: cookie, Tried: []*Target{l.Target}})
	if again.Target == l.Target || again.SetCookie(false) == "" {
		t.Errorf("%s, %q", again.Target, again.SetCookie(false))
	}
}

func TestCookieFields(t *testing.T) {
	g := NewGroups(Options{})
	l := choose(t, g.one(sticky(unchecked(a))), Choice{})
	for _, secure := range []bool{true, false} {
		got, err := http.ParseSetCookie(l.SetCookie(secure))
		if err != nil || got.Name != "EDGESESSION" || got.Path != "/" || got.MaxAge != 86400 || !got.HttpOnly || got.Secure != secure {
			t.Errorf("secure %v: %q %v", secure, l.SetCookie(secure), err)
		}
	}
	if l := choose(t, g.one(unchecked(a)), Choice{}); l.SetCookie(true) != "" {
		t.Error("a cookie without stickiness")
	}
}

func TestCookiesAreAuthenticAndOutliveARestart(t *testing.T) {
	key := []byte("0123456789abcdef0123456789abcdef")
	app := NewGroups(Options{CookieKey: key}).one(sticky(unchecked(a, b, c)))
	l := choose(t, app, Choice{})
	cookie := cookieValue(l.SetCookie(false))
	follows := func(app *Group, cookie string) bool {
		l := choose(t, app, Choice{Cookie: cookie})
		return l.SetCookie(false) == ""
	}
	restarted := NewGroups(Options{CookieKey: key}).one(sticky(unchecked(c, b, a)))
	if !follows(restarted, cookie) {
		t.Error("does not outlive a restart")
	}
	if follows(NewGroups(Options{}).one(sticky(unchecked(a, b, c))), cookie) {
		t.Error("good under another key")
	}
	p := NewGroups(Options{CookieKey: key}).Plan(map[string]config.TargetGroup{"other": sticky(unchecked(a, b, c))})
	p.Commit()
	if follows(p.Group("other"), cookie) {
		t.Error("good for another group")
	}
	for i := range cookie {
		changed := cookie[:i] + string(cookie[i]^1) + cookie[i+1:]
		if follows(restarted, changed) {
			t.Errorf("good with byte %d changed", i)
		}
	}
	if strings.Contains(cookie, "=") || len(cookie) != cookieLen {
		t.Errorf("%q", cookie)
	}
}

func FuzzCookie(f *testing.F) {
	g := NewGroups(Options{CookieKey: []byte("key")})
	app := g.one(sticky(unchecked(a, b)))
	f.Add("")
	f.Add(strings.Repeat("A", cookieLen))
	l, _ := app.Choose(Choice{})
	good := cookieValue(l.SetCookie(false))
	f.Add(good[:len(good)-1])
	f.Fuzz(func(t *testing.T, value string) {
		if app.Remembers(value) {
			t.Errorf("%q was not issued", value)
		}
	})
}
