package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/wneessen/go-mail/smtp"
)

const (
	submissionPort = 587
	implicitPort   = 465
	answersLimit   = 256 << 10       // bytes that a server may say to one message, certificates and all
	quitTimeout    = 2 * time.Second // the message is delivered by then
)

// server is a mail server. Each letter has a connection of its own: letters are rare, servers close connections that are quiet, and one letter's failure is none of the
// next one's.
type server struct {
	config.SMTP
	roots *x509.CertPool // nil: the system's
}

func newServer(c config.SMTP) (*server, error) {
	if c.Port == 0 {
		c.Port = submissionPort
	}
	if c.TLS == "" {
		c.TLS = "starttls"
		if c.Port == implicitPort {
			c.TLS = "implicit"
		}
	}
	s := &server{SMTP: c}
	switch {
	case c.Host == "":
		return nil, errors.New("smtp: host is missing")
	case !slices.Contains([]string{"starttls", "implicit", "off"}, c.TLS):
		return nil, fmt.Errorf("smtp: tls is starttls, implicit or off, not %q", c.TLS)
	case c.TLS == "off" && c.Password != "" && !isLoopback(c.Host):
		return nil, errors.New("smtp: without TLS the password would go through the network in plain")
	}
	if c.CA != "" {
		pem, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("smtp: ca: %w", err)
		}
		s.roots = x509.NewCertPool()
		if !s.roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("smtp: ca: %s has no certificate in it", c.CA)
		}
	}
	return s, nil
}

func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

func (s *server) carry(ctx context.Context, l *letter) error {
	conn, err := s.dial(ctx)
	if err != nil {
		return unavailable(err, "the mail server %s cannot be reached", s.address())
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })() // whatever is being waited for then ends
	err = s.talk(conn, l)
	if err == nil {
		return nil
	}
	if gone := context.Cause(ctx); gone != nil {
		return unavailable(gone, "the mail server %s was not done", s.address())
	}
	return err
}

func (s *server) address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func (s *server) tls() *tls.Config {
	return &tls.Config{ServerName: s.Host, RootCAs: s.roots, MinVersion: tls.VersionTLS12}
}

func (s *server) dial(ctx context.Context) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", s.address())
	if err != nil {
		return nil, err
	}
	conn := &bounded{raw, answersLimit}
	if s.TLS != "implicit" {
		return conn, nil
	}
	secure := tls.Client(conn, s.tls())
	if err := secure.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return secure, nil
}

// bounded is a connection that brings only so much: nothing else stops a line that does not end.
type bounded struct {
	net.Conn
	left int
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the server says more than %d bytes", answersLimit)
	}
	n, err := b.Conn.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}

// talk is the whole conversation (RFC 5321, section 3; RFC 6409).
func (s *server) talk(conn net.Conn, l *letter) error {
	client, err := smtp.NewClient(conn, s.Host)
	if err != nil {
		return s.refused(greeting, err)
	}
	defer client.Close()
	if err := client.Hello(literal(conn.LocalAddr())); err != nil {
		return s.refused(hello, err)
	}
	if err := s.secure(client); err != nil {
		return err
	}
	if err := s.login(client); err != nil {
		return err
	}
	if err := fits(client, l); err != nil {
		return err
	}
	if err := s.hand(client, l); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(quitTimeout))
	_ = client.Quit() // the server has the message, whatever it says to this
	return nil
}

// literal names this host by its address, as who has no name that others know (RFC 5321, section 4.1.3).
func literal(local net.Addr) string {
	at, err := netip.ParseAddrPort(local.String())
	switch addr := at.Addr().Unmap().WithZone(""); {
	case err != nil:
		return "localhost"
	case addr.Is6():
		return "[IPv6:" + addr.String() + "]"
	default:
		return "[" + addr.String() + "]"
	}
}

func (s *server) secure(client *smtp.Client) error {
	if s.TLS != "starttls" {
		return nil
	}
	if offered, _ := client.Extension("STARTTLS"); !offered {
		return unavailable(nil, "the mail server %s offers no STARTTLS, without which it gets no mail: set mail.smtp.tls to what it has", s.address())
	}
	if err := client.StartTLS(s.tls()); err != nil {
		return s.refused(startTLS, err)
	}
	return nil
}

func (s *server) login(client *smtp.Client) error {
	if s.User == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	mechanisms := strings.Fields(strings.ToUpper(offered))
	const plainToo = true // newServer has seen to it that this is TLS or this host
	var auth smtp.Auth
	switch {
	case slices.Contains(mechanisms, "PLAIN"):
		auth = smtp.PlainAuth("", s.User, s.Password, s.Host, plainToo)
	case slices.Contains(mechanisms, "LOGIN"):
		auth = smtp.LoginAuth(s.User, s.Password, s.Host, plainToo)
	default:
		return unavailable(nil, "the mail server %s takes no password by PLAIN or LOGIN here, but %s: is mail.smtp.port the one for sending mail?", s.address(), clip(offered))
	}
	if err := client.Auth(auth); err != nil {
		return s.refused(login, err)
	}
	return nil
}

// fits says whether the server can carry the letter at all.
func fits(client *smtp.Client, l *letter) error {
	if offered, _ := client.Extension("SMTPUTF8"); l.utf8 && !offered {
		return invalid("the mail server takes no addresses with letters other than ASCII before the @ (SMTPUTF8)")
	}
	_, size := client.Extension("SIZE")
	if most, err := strconv.ParseInt(size, 10, 64); err == nil && most > 0 && int64(len(l.bytes)) > most {
		return invalid("the message has %d bytes, and the mail server takes %d", len(l.bytes), most)
	}
	client.SkipSMTPUTF8(!l.utf8) // who asks for it without need is refused by servers further on that do not have it
	return nil
}

// hand gives the letter to the server: for all recipients, or for none.
func (s *server) hand(client *smtp.Client, l *letter) error {
	if err := client.Mail("<" + l.from.spec() + ">"); err != nil {
		return s.refused(sender, err)
	}
	var refusals []error
	for _, to := range l.to {
		if err := client.Rcpt("<" + to.spec() + ">"); err != nil {
			refusals = append(refusals, s.refused(recipient(to), err))
			if !answered(err) {
				break
			}
		}
	}
	if len(refusals) > 0 {
		return worst(refusals)
	}
	w, err := client.Data()
	if err != nil {
		return s.refused(content, err)
	}
	if _, err := w.Write(l.bytes); err != nil {
		return s.refused(content, fmt.Errorf("it was not taken to the end: %w", err))
	}
	if err := w.Close(); err != nil {
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("the connection ended before the answer: %w", err)
		}
		return s.refused(content, err)
	}
	return nil
}
