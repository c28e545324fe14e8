package front

import (
	"net/http"
	"net/textproto"
	"strconv"
	"strings"

	"github.com/onehost/edge/edge/internal/exchange"
)

// sentFields is what the last answer of this stream's memory was headed by. The next is headed by much the same, and the
// libraries want strings that are nobody else's: HPACK's table keeps those that it hopes to send again, and quic-go sends
// only when the exchange is over.
type sentFields struct {
	fields [16]sentField // by their place
	length sentLength
}

type sentField struct {
	name, value string
	canonical   string // name in the libraries' spelling
	list        [1]string
}

type sentLength struct {
	n    int64
	list []string
}

// mostKept is up to what length a value is kept.
const mostKept = 256

func (s *sentField) set(f *exchange.Field) {
	if s.name != f.Name {
		s.name = strings.Clone(f.Name)
		s.canonical = textproto.CanonicalMIMEHeaderKey(s.name)
	}
	if s.value != f.Value {
		s.value = strings.Clone(f.Value)
	}
}

// setFields heads an answer. x/net copies the lists before it returns; those of quic-go are new.
func (st *stream) setFields(h http.Header, fields exchange.Fields) {
	n := min(len(fields), len(st.sent.fields))
	for i := range fields[:n] {
		f, own := &fields[i], &st.sent.fields[i]
		if len(f.Name) > mostKept || len(f.Value) > mostKept {
			st.addFields(h, "", fields[i:i+1])
			continue
		}
		if !st.mayBeSent(f) {
			continue
		}
		own.set(f)
		if _, again := h[own.canonical]; again || st.of.protocol == exchange.HTTP3 {
			h[own.canonical] = append(h[own.canonical], own.value)
			continue
		}
		own.list[0] = own.value
		h[own.canonical] = own.list[:1:1]
	}
	st.addFields(h, "", fields[n:])
}

// setLength is for Content-Length.
func (st *stream) setLength(h http.Header, n int64) {
	if last := &st.sent.length; last.n != n || last.list == nil {
		*last = sentLength{n, []string{strconv.FormatInt(n, 10)}}
	}
	h["Content-Length"] = st.sent.length.list
}

// addFields is for what is not said again and again.
func (st *stream) addFields(h http.Header, prefix string, fields exchange.Fields) {
	for i := range fields {
		if f := &fields[i]; st.mayBeSent(f) {
			name := prefix + textproto.CanonicalMIMEHeaderKey(strings.Clone(f.Name))
			h[name] = append(h[name], strings.Clone(f.Value))
		}
	}
}

// mayBeSent says no to what HTTP/2 and HTTP/3 do not have (RFC 9113, section 8.2.2; RFC 9114, section 4.2), and to what no field may have.
func (st *stream) mayBeSent(f *exchange.Field) bool {
	if ownField(f.Name) {
		return false
	}
	if !exchange.IsToken(f.Name) || !exchange.IsFieldValue(f.Value) {
		st.of.s.log.Warn("answer's field left out: not allowed in a head", "name", strconv.Quote(f.Name), "path", strconv.Quote(st.x.RawPath))
		return false
	}
	return true
}
