package mail

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

func TestSettingsThatCannotWorkAreRefused(t *testing.T) {
	smtp, empty := &config.SMTP{Host: "mail.example.com"}, filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]config.Mail{
		"exactly one":       {From: "app@example.com"},
		"one of smtp":       {From: "app@example.com", SMTP: smtp, Folder: t.TempDir()},
		"mail.from":         {SMTP: smtp},
		"host is missing":   {From: "app@example.com", SMTP: &config.SMTP{}},
		"off, not":          {From: "app@example.com", SMTP: &config.SMTP{Host: "mail.example.com", TLS: "maybe"}},
		"in plain":          {From: "app@example.com", SMTP: &config.SMTP{Host: "mail.example.com", TLS: "off", User: "u", Password: "p"}},
		"no such file":      {From: "app@example.com", SMTP: &config.SMTP{Host: "mail.example.com", CA: "/nowhere/ca.pem"}},
		"no certificate in": {From: "app@example.com", SMTP: &config.SMTP{Host: "mail.example.com", CA: empty}},
		"not a directory":   {From: "app@example.com", Folder: empty},
	} {
		if _, err := New(t.Context(), c, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestALiteralOfSettingsHasTheirDefaults(t *testing.T) {
	for want, c := range map[string]config.SMTP{"starttls": {Host: "h", Port: 25}, "implicit": {Host: "h", Port: 465}} {
		if s, err := newServer(c); err != nil || s.TLS != want {
			t.Errorf("%+v, %v", s, err)
		}
	}
	if s, err := newServer(config.SMTP{Host: "h"}); err != nil || s.Port != 587 || s.TLS != "starttls" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestAFolderGetsWholeFilesThatOnlyTheirOwnerReads(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "mail", "out")
	m := newMailer(t, config.Mail{Folder: folder})
	message := plain()
	message.ID, message.Text = "contact-1", "first"
	mustSend(t, m, message)
	message.Text = "second"
	mustSend(t, m, message)
	mustSend(t, m, plain())
	names, err := filepath.Glob(filepath.Join(folder, "*"))
	if err != nil || len(names) != 2 {
		t.Fatalf("it has %v, %v", names, err)
	}
	hidden, _ := filepath.Glob(filepath.Join(folder, ".*"))
	if len(hidden) > 0 {
		t.Errorf("left over: %v", hidden)
	}
	content, err := os.ReadFile(filepath.Join(folder, "contact-1.eml"))
	if err != nil || parse(t, content).text != "second\r\n" {
		t.Errorf("%s, %v", content, err)
	}
	if info, err := os.Stat(filepath.Join(folder, "contact-1.eml")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if err := os.RemoveAll(folder); err != nil {
		t.Fatal(err)
	}
	if err := m.Send(t.Context(), message); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}

// slow carries a letter until it is told to end.
type slow struct {
	mu        sync.Mutex // guards now and most
	now, most int
	end       chan struct{}
}

func (s *slow) carry(ctx context.Context, _ *letter) error {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	s.mu.Unlock()
	defer func() { s.mu.Lock(); s.now--; s.mu.Unlock() }()
	select {
	case <-s.end:
		return nil
	case <-ctx.Done():
		return unavailable(context.Cause(ctx), "it was not done")
	}
}

func TestAFloodIsSentAFewAtATimeAndTheRestIsToldToComeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMailer(t, config.Mail{Folder: t.TempDir()})
		carrier := &slow{end: make(chan struct{})}
		m.carrier = carrier
		results := make(chan error, 200)
		for range 200 {
			go func() { results <- m.Send(t.Context(), plain()) }()
		}
		synctest.Wait()
		for range 200 - atOnce - waiting {
			if err := <-results; fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "wait to be sent already") {
				t.Fatal(err)
			}
		}
		close(carrier.end)
		for range atOnce + waiting {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if carrier.most != atOnce {
			t.Errorf("%d were under way at once", carrier.most)
		}
		if len(m.queue) != 0 || len(m.turns) != 0 {
			t.Error("somebody did not leave")
		}
	})
}

func TestNobodyWaitsLongerThanHalfAMinuteForATurnAndAnotherForTheCarrier(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMailer(t, config.Mail{Folder: t.TempDir()})
		m.carrier = &slow{end: make(chan struct{})}
		began := time.Now()
		results := make(chan error, 3*atOnce)
		for range 3 * atOnce {
			go func() { results <- m.Send(t.Context(), plain()) }()
		}
		for range 3 * atOnce {
			if err := <-results; fault.CodeOf(err) != fault.Unavailable {
				t.Error(err)
			}
		}
		if took := time.Since(began); took > turnTimeout+sendTimeout {
			t.Errorf("it took %v", took)
		}
	})
}

func TestWhoGivesUpIsNotInTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMailer(t, config.Mail{Folder: t.TempDir()})
		carrier := &slow{end: make(chan struct{})}
		m.carrier = carrier
		var sending sync.WaitGroup
		for range atOnce {
			sending.Go(func() { _ = m.Send(t.Context(), plain()) })
		}
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := m.Send(ctx, plain()); fault.CodeOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if len(m.queue) != atOnce {
			t.Errorf("%d are in the queue", len(m.queue))
		}
		close(carrier.end)
		sending.Wait()
	})
}
