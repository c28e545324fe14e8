package config

import (
	"maps"
	"net"
	"net/netip"
	"slices"
	"time"
)

// Bounds of Lambda's own, which hold for functions here as well.
const (
	maxFunctionTimeout = 15 * time.Minute // https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
	maxFormBody        = 4 << 20          // an event has 6 MB at most, and a body in it is base64
)

func (k *checker) functions() {
	for _, name := range k.functionNames {
		f, at := k.Functions[name], path{"functions", name}
		arn, command := k.given(at.to("arn")), k.given(at.to("command"))
		switch {
		case k.bad(at):
		case arn && command:
			k.fail(at.to("command"), "a function has an arn or a command, and not both")
		case !arn && !command:
			k.fail(at, "a function needs an arn, or a command that runs it here")
		case arn:
			for _, key := range []string{"args", "env"} {
				if k.given(at.to(key)) {
					k.fail(at.to(key), "%s belongs to a command; a function in AWS has its own", key)
				}
			}
		}
		if f.Timeout > maxFunctionTimeout {
			k.fail(at.to("timeout"), "timeout is 15m at most, as Lambda's")
		}
	}
}

func (k *checker) forms() {
	for _, name := range k.formNames {
		k.form(k.Forms[name], path{"forms", name})
	}
}

func (k *checker) form(f Form, at path) {
	if f.Function != "" {
		k.refer("functions", "function", f.Function, k.functionNames, at.to("function"))
	} else if f.Sync {
		k.fail(at.to("sync"), "sync passes on what a function answers, and the form has no function")
	}
	k.limits(at.to("limits"))
	if f.Limits.Body > maxFormBody {
		k.fail(at.to("limits", "body"), "a form's body is 4MiB at most: what a function gets has 6 MB at most, and a body becomes a third longer on the way")
	}
	if t := f.Token; t != nil && t.MinFill >= t.MaxAge && t.MaxAge > 0 {
		k.fail(at.to("token", "min_fill"), "a token that is good for max_age can't be older than that")
	}
	k.captcha(f, at.to("captcha"))
	for _, name := range slices.Sorted(maps.Keys(f.Fields)) {
		k.formField(f.Fields[name], at.to("fields", name))
	}
	if _, ok := f.Fields[f.Honeypot]; ok {
		k.fail(at.to("fields", f.Honeypot), "this is the honeypot, which people do not see")
	}
}

func (k *checker) captcha(f Form, at path) {
	if f.Captcha == nil || k.bad(at) {
		return
	}
	given := 0
	for _, key := range []string{"recaptcha", "turnstile", "hcaptcha"} {
		if k.given(at.to(key)) {
			given++
		}
	}
	if given != 1 {
		k.fail(at, "a captcha is exactly one of recaptcha, turnstile and hcaptcha")
	}
}

func (k *checker) formField(f FormField, at path) {
	switch {
	case f.Min != nil && f.Max != nil && *f.Min > *f.Max:
		k.fail(at.to("min"), "min is more than max")
	case f.Type != "number" && f.Min != nil && *f.Min < 0:
		k.fail(at.to("min"), "a text has 0 characters at least")
	case f.Type != "number" && f.Max != nil && *f.Max < 1:
		k.fail(at.to("max"), "a text that may be filled in has room for 1 character at least")
	case f.Type == "select" && len(f.Options) == 0 && !k.bad(at.to("options")):
		k.fail(at, "a select needs options")
	}
	for key, kind := range map[string]string{"options": "select", "accept": "file", "size": "file"} {
		if k.given(at.to(key)) && f.Type != kind && !k.bad(at.to("type")) {
			k.fail(at.to(key), "%s belongs to a field of type %s", key, kind)
		}
	}
}

func (k *checker) mail() {
	m, at := k.Mail, path{"mail"}
	if m == nil || k.bad(at) {
		return
	}
	given := 0
	for _, key := range []string{"smtp", "ses", "folder"} {
		if k.given(at.to(key)) {
			given++
		}
	}
	if given != 1 {
		k.fail(at, "mail is sent by exactly one of smtp, ses and folder")
	}
	if s := m.SMTP; s != nil && s.TLS == "off" && !isLoopback(s.Host) {
		if s.Password != "" {
			k.fail(at.to("smtp", "tls"), "the password would go through the network in plain")
		} else {
			k.warn(at.to("smtp", "tls"), "mail goes through the network in plain")
		}
	}
}

// isLoopback reports whether a name is this machine's.
func isLoopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.IsLoopback()
}
