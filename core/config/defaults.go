package config

import (
	"net"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fillIn sets the defaults that depend on other settings or on where edge runs. All others are tags in config.go.
func (c *Config) fillIn(env Env) {
	if c.DataDir == "" {
		c.DataDir = absolute(filepath.Join(filepath.Dir(c.Files[0]), "data"))
		if state, _, _ := strings.Cut(env.StateDirectory, ":"); state != "" {
			c.DataDir = absolute(state)
		}
	}
	if c.Listen.Admin == "" {
		c.Listen.Admin = "unix:" + filepath.Join(c.DataDir, "admin.sock")
	}
	if c.Listen.PublicPort == 0 {
		c.Listen.PublicPort = portOf(c.Listen.HTTPS)
	}
	for name, group := range c.TargetGroups {
		if group.Health.Timeout == 0 {
			group.Health.Timeout = min(5*time.Second, group.Health.Interval)
		}
		c.TargetGroups[name] = group
	}
	for name, function := range c.Functions {
		if function.Concurrency == 0 {
			function.Concurrency = 50
			if function.Local() {
				function.Concurrency = 4
			}
		}
		c.Functions[name] = function
	}
	for name, form := range c.Forms {
		form.fillIn()
		c.Forms[name] = form
	}
	if c.API != nil {
		c.API.fillIn(c.DataDir)
	}
	if c.Mail != nil && c.Mail.SMTP != nil {
		c.Mail.SMTP.fillIn()
	}
	for name, host := range c.Hosts {
		if host.Limits.Idle == 0 {
			host.Limits.Idle = time.Minute
		}
		host.Limits.fillIn()
		for i := range host.Rules {
			host.Rules[i].Limits.fillIn()
		}
		if host.Default != nil {
			host.Default.Limits.fillIn()
		}
		c.Hosts[name] = host
	}
}

// fillIn bounds what a form takes on, and each text in it.
func (f *Form) fillIn() {
	l := &f.Limits
	if l.Rate.N == 0 {
		l.Rate = Rate{N: 10, Per: time.Minute}
	}
	if l.Burst == 0 {
		l.Burst = max(10, l.Rate.N/int(l.Rate.Per/time.Second))
	}
	if l.Body == 0 {
		l.Body = 64 << 10
	}
	if l.Concurrency == 0 {
		l.Concurrency = 32
	}
	for name, field := range f.Fields {
		if field.Max == nil {
			field.Max = mostOf(field.Type)
		}
		f.Fields[name] = field
	}
}

// mostOf is how many characters a field may have that does not say it; nil for what has none.
func mostOf(kind string) *int {
	most := 10_000
	switch kind {
	case "email":
		most = 320 // RFC 5321, section 4.5.3.1
	case "url":
		most = 2048
	case "number", "file":
		return nil
	}
	return &most
}

// fillIn sets how the server is spoken to: by the port's custom (RFC 8314, section 3).
func (s *SMTP) fillIn() {
	switch {
	case s.TLS != "":
	case s.Port == 465:
		s.TLS = "implicit"
	default:
		s.TLS = "starttls"
	}
}

// fillIn sets a burst to what the rate gives in one second, at least 1.
func (l *Limits) fillIn() {
	if l.Rate.N > 0 && l.Burst == 0 {
		l.Burst = max(1, l.Rate.N/int(l.Rate.Per/time.Second))
	}
}

// portOf returns the port of the first address, or https's own if there is no address.
func portOf(addresses []string) int {
	if len(addresses) > 0 {
		if _, port, err := net.SplitHostPort(addresses[0]); err == nil {
			if n, err := strconv.Atoi(port); err == nil {
				return n
			}
		}
	}
	return 443
}
