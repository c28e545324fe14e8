// Package setting reads what a function is told by its environment. A fault names the variable and says what has to be there; it never
// shows the value, which may be a secret. In come kinds of values that more than one function reads.
package setting

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Settings reads variables and remembers what is wrong with them, so that all of it is told at once. It is not for concurrent use.
type Settings struct {
	lookup func(string) string
	faults []error
}

// New reads variables with lookup, which is os.Getenv but in tests. "" is a variable that is not there.
func New(lookup func(string) string) *Settings { return &Settings{lookup: lookup} }

// Err is all that was found to be wrong, nil when nothing was.
func (s *Settings) Err() error { return errors.Join(s.faults...) }

// Fault remembers that a variable is wrong.
func (s *Settings) Fault(name, want string) {
	s.faults = append(s.faults, fmt.Errorf("the environment variable %s %s", name, want))
}

// Text is a line of text, or the default.
func (s *Settings) Text(name, otherwise string) string {
	v := s.lookup(name)
	if strings.ContainsAny(v, "\r\n\x00") {
		s.Fault(name, "has to be one line")
		return otherwise
	}
	if v == "" {
		return otherwise
	}
	return v
}

// Need is a text that has to be there.
func (s *Settings) Need(name, what string) string {
	v := s.Text(name, "")
	if v == "" {
		s.Fault(name, "is missing: it has to be "+what)
	}
	return v
}

// Key is a secret of at least 32 bytes.
func (s *Settings) Key(name string) []byte {
	v := s.Text(name, "")
	if len(v) < 32 {
		s.Fault(name, fmt.Sprintf("has to be a secret of at least 32 bytes, and has %d: openssl rand -hex 32 makes one", len(v)))
	}
	return []byte(v)
}

// Count is a whole number from 1 on, or the default.
func (s *Settings) Count(name string, otherwise int) int {
	v := s.Text(name, "")
	if v == "" {
		return otherwise
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > 1_000_000 {
		s.Fault(name, "has to be a number from 1 to 1000000")
		return otherwise
	}
	return n
}

// On is a switch: 1, true, on, yes, or 0, false, off, no and nothing.
func (s *Settings) On(name string) bool {
	switch strings.ToLower(s.Text(name, "")) {
	case "1", "true", "on", "yes":
		return true
	case "", "0", "false", "off", "no":
	default:
		s.Fault(name, "has to be 1 or 0")
	}
	return false
}

// Base is the URL that others are made of, without a slash at its end. It is https, but for hosts that are this machine.
func (s *Settings) Base(name, otherwise string) string {
	v := s.Text(name, otherwise)
	u, err := url.Parse(v)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Opaque != "":
		s.Fault(name, "has to be a URL such as https://example.com/subscribe")
	case u.Scheme != "https" && (u.Scheme != "http" || !isThisMachine(u.Hostname())):
		s.Fault(name, "has to begin with https://")
	}
	return strings.TrimRight(v, "/")
}

func isThisMachine(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasSuffix(host, ".localhost") || ip != nil && ip.IsLoopback()
}
