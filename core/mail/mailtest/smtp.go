// Package mailtest runs for tests what mail is sent through: a mail server (aiosmtpd, https://aiosmtpd.aio-libs.org) and an Amazon SES (moto,
// https://docs.getmoto.org), each in a process that ends with the test (pypitest). Only tests import it.
//
//	server := mailtest.StartSMTP(t, mailtest.SMTP{TLS: "starttls", User: "app", Password: "secret"})
//	mailer, err := mail.New(ctx, config.Mail{SMTP: server.Config(), From: "app@example.com"}, nil)
//	…
//	got := server.Next(t)
//
// The first test on a machine installs them into the user's cache folder, which takes a quarter of a minute and the network. Where Python is missing
// tests are skipped, and failed where CI is set.
package mailtest

import (
	_ "embed" // the program and the list of packages
	"encoding/json"
	"path/filepath"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/pypitest"
)

var (
	//go:embed testdata/smtp.txt
	smtpRequirements []byte
	//go:embed testdata/smtp.py
	smtpProgram string
)

const nextTimeout = 20 * time.Second

// SMTP is what a mail server is like. Its zero value takes everything from anybody, without TLS.
type SMTP struct {
	TLS      string // off (or ""), starttls, which it insists on, or implicit
	User     string // who has to log in, or ""
	Password string
	NoPlain  bool // whether it offers LOGIN but not PLAIN
	UTF8     bool // whether it has SMTPUTF8
}

// Server is a running mail server.
type Server struct {
	wanted  SMTP
	process *pypitest.Process
	port    int
	ca      string
}

// Mail is a message as the server took it.
type Mail struct {
	Sender     string   `json:"sender"`
	Recipients []string `json:"recipients"`
	Data       []byte   `json:"data"`
	Options    []string `json:"options"` // of MAIL FROM
	Hello      string   `json:"hello"`
	User       string   `json:"user"`
	Secure     bool     `json:"secure"`
}

// StartSMTP starts a server that ends with the test.
func StartSMTP(t testing.TB, wanted SMTP) *Server {
	t.Helper()
	if wanted.TLS == "" {
		wanted.TLS = "off"
	}
	folder := t.TempDir()
	s := &Server{wanted: wanted, ca: filepath.Join(folder, "cert.pem")}
	key := filepath.Join(folder, "key.pem")
	writeCertificate(t, s.ca, key)
	args, err := json.Marshal(map[string]any{
		"tls": wanted.TLS, "cert": s.ca, "key": key, "user": wanted.User, "password": wanted.Password, "utf8": wanted.UTF8, "plain": !wanted.NoPlain,
	})
	if err != nil {
		t.Fatal(err)
	}
	python, err := pypitest.Python(t.Context(), "aiosmtpd", smtpRequirements)
	if err != nil {
		pypitest.Missing(t, "mail server", err)
	}
	if s.process, err = pypitest.Start(python, smtpProgram, string(args)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.process.Close)
	err = s.process.First(func(line string) bool {
		var said struct{ Port int }
		s.port = 0
		if json.Unmarshal([]byte(line), &said) == nil {
			s.port = said.Port
		}
		return s.port > 0
	})
	if err != nil {
		t.Fatal("the mail server did not start: ", err)
	}
	return s
}

// Config is how the server is reached.
func (s *Server) Config() *config.SMTP {
	c := &config.SMTP{Host: "127.0.0.1", Port: s.port, User: s.wanted.User, Password: s.wanted.Password, TLS: s.wanted.TLS}
	if s.wanted.TLS != "off" {
		c.CA = s.ca
	}
	return c
}

// Next waits for the next message that the server took.
func (s *Server) Next(t testing.TB) Mail {
	t.Helper()
	select {
	case line, more := <-s.process.Lines:
		var got Mail
		if err := json.Unmarshal([]byte(line), &got); err != nil || !more {
			t.Fatalf("the mail server said %q: %v", line, err)
		}
		return got
	case <-time.After(nextTimeout):
		t.Fatalf("no message came within %v", nextTimeout)
	}
	return Mail{}
}
