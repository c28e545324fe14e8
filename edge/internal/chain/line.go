package chain

import (
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/onehost/edge/edge/internal/exchange"
)

// A line is memory to build lines in, one after another.
type line struct {
	bytes []byte
	start stamp
}

// of returns the access log's line of an exchange, until the next one is built: one JSON object and a newline.
//
//   - time is when the request's head had been read; duration runs from then until the answer was complete.
//   - host is what the visitor asked for, path what was sent.
//   - duration, connect, wait and transfer are seconds with a precision of a microsecond.
//   - bytes_in and bytes_out are of the bodies (for an upgraded connection, of what went through it).
//   - client_cert_serial is of the certificate that the visitor had to show.
//   - rule is there once one was chosen; target, connect, wait and transfer are there when a target was,
//     target_status when it answered, tries when it was not the first that was tried.
//
// It is built by hand because it is built for every request, and encoding/json allocates.
func (l *line) of(x *exchange.Exchange, status int, took time.Duration, query bool) []byte {
	r := &x.Record
	b := append(l.bytes[:0], `{"time":"`...)
	b = l.start.append(b, r.Start)
	b = append(b, `","id":`...)
	b = appendJSON(b, x.ID)
	b = append(b, `,"host":`...)
	if x.Hostname != "" {
		b = appendJSON(b, x.Hostname)
	} else {
		b = appendJSON(b, x.Host)
	}
	b = append(b, `,"method":`...)
	b = appendJSON(b, x.Method)
	b = append(b, `,"path":`...)
	b = appendJSON(b, x.RawPath)
	if query && x.HasQuery {
		b = append(b, `,"query":`...)
		b = appendJSON(b, x.RawQuery)
	}
	b = append(b, `,"status":`...)
	b = strconv.AppendInt(b, int64(status), 10)
	b = append(b, `,"bytes_in":`...)
	b = strconv.AppendInt(b, r.BytesIn, 10)
	b = append(b, `,"bytes_out":`...)
	b = strconv.AppendInt(b, r.BytesOut, 10)
	b = append(b, `,"duration":`...)
	b = appendSeconds(b, took)
	b = append(b, `,"client":"`...)
	if x.Client.IsValid() {
		b = x.Client.AppendTo(b)
	}
	b = append(b, `","protocol":"`...)
	b = append(b, x.Request.Protocol.String()...)
	b = append(b, '"')
	if showsCert(&x.Request) {
		b = append(b, `,"client_cert_serial":"`...)
		b = appendSerial(b, x.TLS.PeerCertificates[0])
		b = append(b, '"')
	}
	if r.Rule != "" {
		b = append(b, `,"rule":`...)
		b = appendJSON(b, r.Rule)
	}
	if r.Target != "" {
		b = appendTarget(b, r)
	}
	if r.ErrorReason != "" {
		b = append(b, `,"error_reason":`...)
		b = appendJSON(b, r.ErrorReason)
	}
	l.bytes = append(b, "}\n"...)
	return l.bytes
}

func appendTarget(b []byte, r *exchange.Record) []byte {
	b = append(b, `,"target":`...)
	b = appendJSON(b, r.Target)
	if r.Tries > 1 {
		b = append(b, `,"tries":`...)
		b = strconv.AppendInt(b, int64(r.Tries), 10)
	}
	if r.TargetCode != 0 {
		b = append(b, `,"target_status":`...)
		b = strconv.AppendInt(b, int64(r.TargetCode), 10)
	}
	b = append(b, `,"connect":`...)
	b = appendSeconds(b, r.Connect)
	b = append(b, `,"wait":`...)
	b = appendSeconds(b, r.Wait)
	b = append(b, `,"transfer":`...)
	return appendSeconds(b, r.Transfer)
}

// appendJSON appends s as a JSON string (RFC 8259, section 7). Bytes that aren't UTF-8 become U+FFFD. Control characters are
// escaped, those above ASCII too: a log that is looked at on a terminal must not command it.
func appendJSON(b []byte, s string) []byte {
	b = append(b, '"')
	for i := range len(s) {
		if !isPlainText[s[i]] {
			return append(appendEscaped(append(b, s[:i]...), s[i:]), '"')
		}
	}
	b = append(b, s...)
	return append(b, '"')
}

// isPlainText holds for the bytes that stand for themselves. It is never changed.
var isPlainText = func() (t [256]bool) {
	for c := ' '; c < 0x7f; c++ {
		t[c] = c != '"' && c != '\\'
	}
	return t
}()

func appendEscaped(b []byte, s string) []byte {
	const hex = "0123456789abcdef"
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case r == '"' || r == '\\':
			b = append(b, '\\', s[i])
		case r == utf8.RuneError && size == 1:
			b = append(b, `\ufffd`...)
		case r < ' ' || 0x7f <= r && r < 0xa0:
			b = append(b, '\\', 'u', '0', '0', hex[r>>4], hex[r&15])
		default:
			b = append(b, s[i:i+size]...)
		}
		i += size
	}
	return b
}
