package mail

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

// scripted is a mail server that says what it is told to, by the beginning of what it hears: "" is the greeting, "." the end of a message.
// "hang" is silence until the client goes, "cut" the end of the connection, and "flood" a line without end.
type scripted struct {
	answers map[string]string
	heard   chan string // each line outside of messages
	serving sync.WaitGroup
}

func startScripted(t *testing.T, answers map[string]string) (*scripted, config.SMTP) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{answers: answers, heard: make(chan string, 256)}
	s.serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			s.serving.Go(func() { s.serve(conn) })
		}
	})
	t.Cleanup(func() { listener.Close(); s.serving.Wait() })
	return s, config.SMTP{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: "off"}
}

func (s *scripted) serve(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	if !s.answer(conn, in, "", "220 mail.test") {
		return
	}
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimRight(line, "\r\n")
		s.heard <- line
		usual := "250 OK"
		switch {
		case strings.HasPrefix(line, "EHLO"):
			usual = "250-mail.test\r\n250 AUTH PLAIN LOGIN"
		case strings.HasPrefix(line, "AUTH"):
			usual = "235 OK"
		case line == "QUIT":
			usual = "221 bye"
		case line == "DATA":
			usual = "354 go on"
		}
		if !s.answer(conn, in, line, usual) || line == "QUIT" {
			return
		}
		if line == "DATA" && s.said(line, usual)[0] == '3' && !s.data(conn, in) {
			return
		}
	}
}

func (s *scripted) data(conn net.Conn, in *bufio.Reader) bool {
	if s.answers["body"] == "cut" {
		_, _ = in.ReadString('\n')
		return false
	}
	for line := ""; line != ".\r\n"; {
		var err error
		if line, err = in.ReadString('\n'); err != nil {
			return false
		}
	}
	return s.answer(conn, in, ".", "250 OK")
}

func (s *scripted) said(line, usual string) string {
	for begin, answer := range s.answers {
		if begin == line || begin != "" && strings.HasPrefix(line, begin) {
			return answer
		}
	}
	return usual
}

func (s *scripted) answer(conn net.Conn, in *bufio.Reader, line, usual string) bool {
	switch said := s.said(line, usual); said {
	case "hang":
		_, _ = io.Copy(io.Discard, in)
		return false
	case "cut":
		return false
	case "flood":
		for {
			if _, err := conn.Write([]byte(strings.Repeat("2", 4096))); err != nil {
				return false
			}
		}
	default:
		_, err := fmt.Fprintf(conn, "%s\r\n", said)
		return err == nil
	}
}

func TestWhatAServersNoMeans(t *testing.T) {
	t.Parallel()
	for name, is := range map[string]struct {
		answers map[string]string
		want    fault.Code
		says    string
	}{
		"busy at the greeting":        {map[string]string{"": "421 busy"}, fault.Unavailable, "421"},
		"not for us":                  {map[string]string{"": "554 your address is blocked"}, fault.Unavailable, "this host"},
		"a greeting that never ends":  {map[string]string{"": "flood"}, fault.Unavailable, "more than"},
		"another protocol":            {map[string]string{"": "HTTP/1.1 400 no"}, fault.Unavailable, ""},
		"no EHLO":                     {map[string]string{"EHLO": "500 what", "HELO": "500 what"}, fault.Unavailable, "port"},
		"a wrong password":            {map[string]string{"AUTH": "535 5.7.8 no"}, fault.Unavailable, "mail.smtp.password"},
		"login is away":               {map[string]string{"AUTH": "454 4.7.0 try again"}, fault.Unavailable, "454"},
		"no mechanism":                {map[string]string{"EHLO": "250-mail.test\r\n250 AUTH XOAUTH2"}, fault.Unavailable, "XOAUTH2"},
		"not our sender":              {map[string]string{"MAIL": "553 5.7.1 not owned by user"}, fault.Unavailable, "mail.from"},
		"login first":                 {map[string]string{"MAIL": "530 5.7.0 authentication required"}, fault.Unavailable, "mail.smtp.user"},
		"a sender for later":          {map[string]string{"MAIL": "451 4.3.0 later"}, fault.Unavailable, "451"},
		"too large by its size":       {map[string]string{"MAIL": "552 5.3.4 too large"}, fault.Invalid, "large"},
		"too large by what it says":   {map[string]string{"EHLO": "250-mail.test\r\n250-AUTH PLAIN\r\n250 SIZE 100"}, fault.Invalid, "100"},
		"no such mailbox":             {map[string]string{"RCPT": "550 5.1.1 no such user"}, fault.Invalid, "ann@example.org"},
		"greylisted":                  {map[string]string{"RCPT": "450 4.2.0 greylisted"}, fault.Unavailable, "450"},
		"a full mailbox":              {map[string]string{"RCPT": "552 5.2.2 full"}, fault.Unavailable, "552"},
		"no relaying":                 {map[string]string{"RCPT": "554 5.7.1 Relay access denied"}, fault.Unavailable, "mail.smtp"},
		"login before recipients":     {map[string]string{"RCPT": "530 5.7.0 authentication required"}, fault.Unavailable, "mail.smtp"},
		"no disk":                     {map[string]string{"DATA": "452 4.3.1 no space"}, fault.Unavailable, "452"},
		"spam":                        {map[string]string{".": "550 5.7.1 spam"}, fault.Invalid, "spam"},
		"too large at the end":        {map[string]string{".": "552 5.3.4 too large"}, fault.Invalid, "552"},
		"not now at the end":          {map[string]string{".": "451 4.7.1 later"}, fault.Unavailable, "451"},
		"cut in the message":          {map[string]string{"body": "cut"}, fault.Unavailable, ""},
		"cut before the answer":       {map[string]string{".": "cut"}, fault.Unavailable, ""},
		"cut at a recipient":          {map[string]string{"RCPT": "cut"}, fault.Unavailable, ""},
		"a goodbye that is no answer": {map[string]string{"QUIT": "cut"}, "", ""},
		"a bad goodbye":               {map[string]string{"QUIT": "500 no"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, c := startScripted(t, is.answers)
			c.User, c.Password = "app", "S3cret"
			message := plain()
			message.Text = strings.Repeat("line\n", 5000)
			err := newMailer(t, config.Mail{SMTP: &c}).Send(t.Context(), message)
			if fault.CodeOf(err) != is.want || (err == nil) != (is.want == "") || err != nil && !strings.Contains(err.Error(), is.says) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestAMessageGoesToAllOfItsRecipientsOrToNone(t *testing.T) {
	t.Parallel()
	s, c := startScripted(t, map[string]string{"RCPT TO:<bo@": "450 later", "RCPT TO:<eve@": "550 5.1.1 nobody"})
	message := plain()
	message.To = []string{"ann@example.org", "bo@example.org", "eve@example.org"}
	if err := newMailer(t, config.Mail{SMTP: &c}).Send(t.Context(), message); fault.CodeOf(err) != fault.Invalid || !strings.Contains(err.Error(), "eve@") {
		t.Error(err)
	}
	close(s.heard)
	for line := range s.heard {
		if line == "DATA" {
			t.Error("the message was sent to the first one")
		}
	}
}

func TestAServerThatRepeatsThePasswordDoesNotGetItIntoErrors(t *testing.T) {
	t.Parallel()
	for _, said := range []string{"535 S3cret is wrong", "535 AGFwcABTM2NyZXQ= is wrong", "535 UzNjcmV0 is wrong"} {
		_, c := startScripted(t, map[string]string{"AUTH": said})
		c.User, c.Password = "app", "S3cret"
		err := newMailer(t, config.Mail{SMTP: &c}).Send(t.Context(), plain())
		if err == nil || strings.Contains(err.Error(), strings.Fields(said)[1]) || !strings.Contains(err.Error(), "is wrong") {
			t.Error(err)
		}
	}
}

func TestAServerThatFallsSilentIsLeftWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"", "EHLO", "AUTH", "MAIL", "RCPT", "DATA", "."} {
		t.Run("at "+at, func(t *testing.T) {
			_, c := startScripted(t, map[string]string{at: "hang"})
			c.User, c.Password = "app", "S3cret"
			m := newMailer(t, config.Mail{SMTP: &c})
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			err := m.Send(ctx, plain())
			if fault.CodeOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestAServerThatDoesNotShakeHandsIsLeftWhenTheContextEnds(t *testing.T) {
	t.Parallel()
	for way, answers := range map[string]map[string]string{"implicit": {"": "hang"}, "starttls": {"EHLO": "250-mail.test\r\n250 STARTTLS", "STARTTLS": "220 go"}} {
		_, c := startScripted(t, answers)
		c.TLS = way
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := newMailer(t, config.Mail{SMTP: &c}).Send(ctx, plain()); fault.CodeOf(err) != fault.Unavailable {
			t.Errorf("%s: %v", way, err)
		}
	}
}

func TestAServerThatIsNotThereIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
	c := config.SMTP{Host: "127.0.0.1", Port: listener.Addr().(*net.TCPAddr).Port, TLS: "off"}
	if err := newMailer(t, config.Mail{SMTP: &c}).Send(t.Context(), plain()); fault.CodeOf(err) != fault.Unavailable {
		t.Error(err)
	}
}
