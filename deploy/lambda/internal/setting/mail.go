package setting

import (
	"net/mail"
	"net/url"
	"strconv"

	"github.com/onehost/edge/core/config"
)

// Mail is how mail is sent: MAIL_FROM, and exactly one of MAIL_SMTP, MAIL_SES and MAIL_FOLDER.
func (s *Settings) Mail() config.Mail {
	m := config.Mail{From: s.Need("MAIL_FROM", "whose mail it is: App <app@example.com>")}
	if _, err := mail.ParseAddress(m.From); m.From != "" && err != nil {
		s.Fault("MAIL_FROM", "has to be an address: App <app@example.com>")
	}
	ways := 0
	if v := s.Text("MAIL_SMTP", ""); v != "" {
		m.SMTP = s.smtp(v)
		ways++
	}
	if v := s.Text("MAIL_SES", ""); v != "" {
		m.SES = &config.SES{Region: v}
		ways++
	}
	if m.Folder = s.Text("MAIL_FOLDER", ""); m.Folder != "" {
		ways++
	}
	if ways != 1 {
		s.Fault("MAIL_SMTP", "or MAIL_SES (a region) or MAIL_FOLDER has to be there: exactly one of them")
	}
	return m
}

// smtp reads smtp://USER:PASSWORD@HOST:587, which changes to TLS (?tls=off for a server of this machine that has none), or
// smtps://USER:PASSWORD@HOST:465, which is TLS from the start.
func (s *Settings) smtp(value string) *config.SMTP {
	const want = "has to be smtp://USER:PASSWORD@HOST:587 or smtps://USER:PASSWORD@HOST:465, what is special in user and password percent-encoded" //nolint:gosec // says the form of a password, and has none
	u, err := url.Parse(value)
	if err != nil || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		s.Fault("MAIL_SMTP", want)
		return nil
	}
	to := &config.SMTP{Host: u.Hostname(), User: u.User.Username()}
	to.Password, _ = u.User.Password()
	switch u.Scheme {
	case "smtp":
		to.Port, to.TLS = 587, "starttls"
	case "smtps":
		to.Port, to.TLS = 465, "implicit"
	default:
		s.Fault("MAIL_SMTP", want)
	}
	query := u.Query()
	if query.Get("tls") == "off" {
		if to.TLS = "off"; u.Scheme != "smtp" || !isThisMachine(to.Host) {
			s.Fault("MAIL_SMTP", "may say tls=off only for a server of this machine")
		}
		query.Del("tls")
	}
	to.CA = query.Get("ca")
	query.Del("ca")
	if len(query) > 0 {
		s.Fault("MAIL_SMTP", "may say tls=off and ca=FILE after its question mark, and nothing else")
	}
	if port := u.Port(); port != "" {
		if to.Port, err = strconv.Atoi(port); err != nil || to.Port < 1 || to.Port > 65535 {
			s.Fault("MAIL_SMTP", want)
		}
	}
	return to
}
