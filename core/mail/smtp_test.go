package mail

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail/mailtest"
)

func newMailer(t *testing.T, c config.Mail) *Mailer {
	t.Helper()
	if c.From == "" {
		c.From = "App <app@example.com>"
	}
	m, err := New(t.Context(), c, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustSend(t *testing.T, m *Mailer, message Message) {
	t.Helper()
	if err := m.Send(t.Context(), message); err != nil {
		t.Fatal(err)
	}
}

func TestARealServerGetsTheMessageAsItIs(t *testing.T) {
	for name, wanted := range map[string]mailtest.SMTP{
		"starttls":             {TLS: "starttls", User: "app", Password: "secret"},
		"implicit":             {TLS: "implicit", User: "app", Password: "secret"},
		"off, LOGIN only":      {User: "app", Password: "secret", NoPlain: true},
		"off and without user": {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := mailtest.StartSMTP(t, wanted)
			m := newMailer(t, config.Mail{SMTP: server.Config()})
			message := Message{
				To: []string{"Ann <ann@example.org>", "bo@müller.example"}, ReplyTo: "eve@example.net", Subject: "Grüße", ID: "once",
				Text: ".\n..\n.hidden\n" + strings.Repeat("ü", 4000) + "\n.\n", HTML: "<p>.\n.",
			}
			mustSend(t, m, message)
			got := server.Next(t)
			if got.Sender != "app@example.com" || !slices.Equal(got.Recipients, []string{"ann@example.org", "bo@xn--mller-kva.example"}) {
				t.Errorf("from %s to %v", got.Sender, got.Recipients)
			}
			if got.Secure != (wanted.TLS != "") || got.Hello != "[127.0.0.1]" || (wanted.User != "") != (got.User != "") {
				t.Errorf("secure %v, hello %s, user %s", got.Secure, got.Hello, got.User)
			}
			read := parse(t, got.Data)
			if read.subject != message.Subject || read.text != asMail(message.Text) || read.html != asMail(message.HTML) || read.header.Get("Bcc") != "" {
				t.Errorf("it got %+v", read)
			}
			mustSend(t, m, plain())
			if again := server.Next(t); parse(t, again.Data).subject != "Hello" {
				t.Errorf("then it got %+v", again)
			}
		})
	}
}

func TestAWrongPasswordIsNotTheMessagesFaultAndIsNotTold(t *testing.T) {
	t.Parallel()
	server := mailtest.StartSMTP(t, mailtest.SMTP{TLS: "starttls", User: "app", Password: "right"})
	c := server.Config()
	c.Password = "S3cret-but-wrong"
	err := newMailer(t, config.Mail{SMTP: c}).Send(t.Context(), plain())
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "mail.smtp.password") || strings.Contains(err.Error(), c.Password) {
		t.Error(err)
	}
	c.User, c.Password = "", ""
	err = newMailer(t, config.Mail{SMTP: c}).Send(t.Context(), plain())
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "mail.smtp.user") {
		t.Error(err)
	}
}

func TestNobodyElsesCertificateIsTaken(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"starttls", "implicit"} {
		server := mailtest.StartSMTP(t, mailtest.SMTP{TLS: way, User: "app", Password: "secret"})
		c := server.Config()
		c.CA = ""
		if err := newMailer(t, config.Mail{SMTP: c}).Send(t.Context(), plain()); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "certificate") {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestAServerWithoutSTARTTLSGetsNoMail(t *testing.T) {
	t.Parallel()
	c := mailtest.StartSMTP(t, mailtest.SMTP{}).Config()
	c.TLS = "starttls"
	if err := newMailer(t, config.Mail{SMTP: c}).Send(t.Context(), plain()); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "STARTTLS") {
		t.Error(err)
	}
}

func TestLettersOtherThanASCIIBeforeTheAtNeedAServerThatHasThem(t *testing.T) {
	t.Parallel()
	message := plain()
	message.To = []string{"用户@example.org"}
	without := mailtest.StartSMTP(t, mailtest.SMTP{})
	m := newMailer(t, config.Mail{SMTP: without.Config()})
	if err := m.Send(t.Context(), message); fault.CodeOf(err) != fault.Invalid {
		t.Error(err)
	}
	with := mailtest.StartSMTP(t, mailtest.SMTP{UTF8: true})
	m = newMailer(t, config.Mail{SMTP: with.Config()})
	mustSend(t, m, message)
	if got := with.Next(t); !slices.Equal(got.Recipients, message.To) || !slices.Contains(got.Options, "SMTPUTF8") || parse(t, got.Data).to[0].Address != message.To[0] {
		t.Errorf("%+v", got)
	}
	mustSend(t, m, plain())
	if got := with.Next(t); slices.Contains(got.Options, "SMTPUTF8") {
		t.Errorf("a message that does not need it asks for SMTPUTF8: %v", got.Options)
	}
}

func TestTheLogHasNoAddressesAndNoTexts(t *testing.T) {
	var out bytes.Buffer
	m, err := New(t.Context(), config.Mail{Folder: t.TempDir(), From: "app@example.com"}, slog.New(slog.NewTextHandler(&out, nil)))
	if err != nil {
		t.Fatal(err)
	}
	mustSend(t, m, plain())
	if said := out.String(); !strings.Contains(said, "mail sent") || strings.Contains(said, "ann") || strings.Contains(said, "Hello") {
		t.Error(said)
	}
}
