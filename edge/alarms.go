package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/onehost/edge/core/mail"
)

const (
	alarmInterval = time.Minute      // how often it is seen what needs a person
	alarmPatience = 2 * time.Minute  // what is over by itself within this time is not told
	alarmPause    = 10 * time.Minute // between two mails
	alarmMemory   = 15 * time.Minute // what comes back within this time was not gone
)

// A matter is something that needs a person.
type matter struct {
	key  string // what it is about: the same while the words change
	text string
}

// alarms mail what needs a person to mail.alarms: each matter once, and once when none is left.
type alarms struct {
	matters func() []matter
	send    func(ctx context.Context, subject, text string) error
	log     *slog.Logger

	open   map[string]*alarm // by key
	mailed time.Time
}

// An alarm is a matter since it was seen first.
type alarm struct {
	about string // the matter's key
	text  string
	since time.Time
	seen  time.Time // last
	told  bool
}

func newAlarms(matters func() []matter, send func(ctx context.Context, subject, text string) error, log *slog.Logger) *alarms {
	return &alarms{matters: matters, send: send, log: log, open: map[string]*alarm{}}
}

// Run looks again and again until ctx is done.
func (a *alarms) Run(ctx context.Context) error {
	tick := time.NewTicker(alarmInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			a.look(ctx, time.Now())
		}
	}
}

// look notes what there is, and mails what is new.
func (a *alarms) look(ctx context.Context, now time.Time) {
	for _, m := range a.matters() {
		known := a.open[m.key]
		if known == nil {
			known = &alarm{about: m.key, since: now}
			a.open[m.key] = known
		}
		known.text, known.seen = m.text, now
	}
	told := 0
	for key, known := range a.open {
		if now.Sub(known.seen) >= alarmMemory {
			delete(a.open, key)
		}
		if known.told {
			told++
		}
	}
	if now.Sub(a.mailed) < alarmPause {
		return
	}
	news := a.news(now)
	switch {
	case len(news) > 0:
		a.tell(ctx, now, news)
	case told > 0 && len(a.open) == 0:
		a.mail(ctx, now, "all is well again", "What needed somebody is over.\n")
	}
}

// news are the alarms that nobody was told of, the oldest first.
func (a *alarms) news(now time.Time) []*alarm {
	var news []*alarm
	for _, key := range slices.Sorted(maps.Keys(a.open)) {
		if known := a.open[key]; !known.told && known.seen.Equal(now) && now.Sub(known.since) >= alarmPatience {
			news = append(news, known)
		}
	}
	slices.SortStableFunc(news, func(x, y *alarm) int { return x.since.Compare(y.since) })
	return news
}

func (a *alarms) tell(ctx context.Context, now time.Time, news []*alarm) {
	subject := news[0].about + " needs somebody"
	if len(news) > 1 {
		subject = fmt.Sprintf("%d things need somebody", len(news))
	}
	var text strings.Builder
	for _, known := range news {
		fmt.Fprintf(&text, "- %s (since %s)\n", known.text, known.since.UTC().Format(time.RFC3339))
	}
	text.WriteString("\n`edge status` shows how things stand.\n")
	if a.mail(ctx, now, subject, text.String()) {
		for _, known := range news {
			known.told = true
		}
	}
}

// mail reports whether the mail has left. One that has not is tried again with what there is then.
func (a *alarms) mail(ctx context.Context, now time.Time, subject, text string) bool {
	a.mailed = now // a server that refuses is not asked every minute, either
	if err := a.send(ctx, subject, text); err != nil {
		a.log.Error("nobody could be told by mail of what needs a person", "err", err)
		return false
	}
	return true
}

// maxSubject bounds the subject of an alarm, in characters.
const maxSubject = 120

// sendAlarm mails to whom the configuration in service names. Where it names nobody, nobody is told.
func (s *server) sendAlarm(ctx context.Context, subject, text string) error {
	configured := s.generation().cfg.Mail
	if configured == nil || len(configured.Alarms) == 0 {
		return nil
	}
	name, err := os.Hostname()
	if err != nil {
		name = "a host without a name"
	}
	return s.modules.post.Send(ctx, mail.Message{
		To:      configured.Alarms,
		Subject: printable("edge on "+name+": "+subject, maxSubject),
		Text:    "edge on " + name + " writes:\n\n" + text,
		Header:  map[string]string{"Auto-Submitted": "auto-generated"}, // RFC 3834, section 5
	})
}

// matters are what needs a person now: what `edge status` shows, and what alarms tell.
func (s *server) matters() []matter {
	var all []matter
	for _, c := range s.certs.Status() {
		if c.Red {
			all = append(all, matter{"certificate " + c.Host, attention(c)})
		}
	}
	for _, text := range s.certs.Attention() {
		all = append(all, matter{text, text})
	}
	if st := s.store.status(); !st.Ready {
		all = append(all, matter{"store", "the store is not ready: " + st.Error})
	}
	return append(all, s.modules.matters()...)
}
