package front

import (
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

const crlf = "\r\n"

// get is a request with these lines after the request line and Host.
func get(lines ...string) string {
	return "GET / HTTP/1.1\r\nHost: a.test\r\n" + strings.Join(append(lines, "", ""), crlf)
}

func post(lines ...string) string { return "POST" + get(lines...)[len("GET"):] }

func requestLine(l string) string { return l + "\r\nHost: a.test\r\n\r\n" }

// refused is what must not become an exchange, by the reason and status it must have.
var refused = []struct {
	name, raw, reason string
	status            int
}{
	// The request line.
	{"method with a space before", requestLine(" GET / HTTP/1.1"), ReasonBadMethod, 400},
	{"method with a colon", requestLine("GE:T / HTTP/1.1"), ReasonBadMethod, 400},
	{"method with a control character", requestLine("GET\x01 / HTTP/1.1"), ReasonBadMethod, 400},
	{"tab after the method", requestLine("GET\t/ HTTP/1.1"), ReasonBadMethod, 400},
	{"only a method", requestLine("GET"), ReasonMissingURI, 400},
	{"only method and version", requestLine("GET HTTP/1.1"), ReasonMissingURI, 400},
	{"empty target", requestLine("GET  HTTP/1.1"), ReasonMissingURI, 400},
	{"two spaces before the target", requestLine("GET  / HTTP/1.1"), ReasonSpaceInURI, 400},
	{"two spaces after the target", requestLine("GET /  HTTP/1.1"), ReasonSpaceInURI, 400},
	{"space in the target", requestLine("GET /a b HTTP/1.1"), ReasonSpaceInURI, 400},
	{"two versions", requestLine("GET / HTTP/1.1 HTTP/1.1"), ReasonSpaceInURI, 400},
	{"tab in the target", requestLine("GET /\tHTTP/1.1 HTTP/1.1"), ReasonAmbiguousURI, 400},
	{"control character in the target", requestLine("GET /\x01 HTTP/1.1"), ReasonAmbiguousURI, 400},
	{"DEL in the target", requestLine("GET /\x7f HTTP/1.1"), ReasonAmbiguousURI, 400},
	{"NUL in the target", requestLine("GET /\x00 HTTP/1.1"), ReasonBadURI, 400},
	{"CR in the target", requestLine("GET /\rHTTP/1.1 HTTP/1.1"), ReasonBadURI, 400},
	{"fragment", requestLine("GET /a#b HTTP/1.1"), ReasonBadURI, 400},
	{"relative target", requestLine("GET index.html HTTP/1.1"), ReasonBadURI, 400},
	{"another scheme", requestLine("GET ftp://a.test/ HTTP/1.1"), ReasonBadURI, 400},
	{"absolute-form without authority", requestLine("GET http:///x HTTP/1.1"), ReasonBadURI, 400},
	{"asterisk with GET", requestLine("GET * HTTP/1.1"), ReasonBadURI, 400},
	{"authority-form without CONNECT", requestLine("GET a.test:80 HTTP/1.1"), ReasonBadURI, 400},
	{"broken percent-encoding", requestLine("GET /%zz HTTP/1.1"), ReasonBadURI, 400},
	{"percent at the end", requestLine("GET /%4 HTTP/1.1"), ReasonBadURI, 400},
	{"second percent broken", requestLine("GET /%41%g0 HTTP/1.1"), ReasonBadURI, 400},
	{"authority is another", requestLine("GET http://b.test/ HTTP/1.1"), ReasonHostMismatch, 400},
	{"authority with userinfo", requestLine("GET http://u@a.test/ HTTP/1.1"), ReasonHostMismatch, 400},
	{"authority with a port that Host lacks", requestLine("GET http://a.test:80/ HTTP/1.1"), ReasonHostMismatch, 400},
	{"scheme is another", requestLine("GET https://a.test/ HTTP/1.1"), ReasonHostMismatch, 400},
	{"HTTP/0.9", "GET /\r\n\r\n", ReasonNonCompliantVersion, 505},
	{"HTTP/0.9 with its version", requestLine("GET / HTTP/0.9"), ReasonNonCompliantVersion, 505},
	{"HTTP/1.2", requestLine("GET / HTTP/1.2"), ReasonNonCompliantVersion, 505},
	{"HTTP/2 with prior knowledge", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", ReasonNonCompliantVersion, 505},
	{"lower-case version", requestLine("GET / http/1.1"), ReasonBadVersion, 400},
	{"version with a leading zero", requestLine("GET / HTTP/01.1"), ReasonBadVersion, 400},
	{"space after the version", requestLine("GET / HTTP/1.1 "), ReasonBadVersion, 400},
	{"empty line before", "\r\n" + get(), ReasonEmptyLine, 400},
	{"CONNECT", "CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n", ReasonMethodRefused, 405},
	{"TRACE", requestLine("TRACE / HTTP/1.1"), ReasonMethodRefused, 405},
	{"TLS on a plain port", "\x16\x03\x01\x02\x00\x01", ReasonTLSOnPlain, 400},
	{"anything", "\x80\x00", ReasonBadMethod, 400},

	// Lines.
	{"LF alone after the request line", "GET / HTTP/1.1\nHost: a.test\r\n\r\n", ReasonBadLineEnd, 400},
	{"LF alone after a field", "GET / HTTP/1.1\r\nHost: a.test\nA: b\r\n\r\n", ReasonBadLineEnd, 400},
	{"LF alone at the end", "GET / HTTP/1.1\r\nHost: a.test\r\n\n", ReasonBadLineEnd, 400},
	{"CR alone in a field", get("A: b\rTransfer-Encoding: chunked"), ReasonBadHeader, 400},
	{"two CR", get("A: b\r"), ReasonBadHeader, 400},
	{"folded line", get("A: b", " c"), ReasonMultilineHeader, 400},
	{"folded line with a tab", get("A: b", "\tc: d"), ReasonMultilineHeader, 400},
	{"whitespace before the first field", "GET / HTTP/1.1\r\n Host: a.test\r\n\r\n", ReasonMultilineHeader, 400},

	// Fields.
	{"no colon", get("abc"), ReasonMissingHeaderColon, 400},
	{"no name", get(": x"), ReasonEmptyHeader, 400},
	{"space before the colon", get("A : b"), ReasonNonCompliantHeader, 400},
	{"tab before the colon", get("A\t: b"), ReasonNonCompliantHeader, 400},
	{"name with a control character", get("A\x01: b"), ReasonNonCompliantHeader, 400},
	{"name with bytes outside ASCII", get("Ä: b"), ReasonNonCompliantHeader, 400},
	{"name with parentheses", get("A(b): c"), ReasonNonCompliantHeader, 400},
	{"NUL in a name", get("A\x00: b"), ReasonBadHeader, 400},
	{"NUL in a value", get("A: b\x00c"), ReasonBadHeader, 400},
	{"control character in a value", get("A: b\x01"), ReasonNonCompliantHeader, 400},
	{"DEL in a value", get("A: b\x7f"), ReasonNonCompliantHeader, 400},

	// Host.
	{"no Host", "GET / HTTP/1.1\r\n\r\n", ReasonMissingHost, 400},
	{"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", ReasonBadHost, 400},
	{"two Hosts", get("Host: a.test"), ReasonMultipleHost, 400},
	{"Host with a path", "GET / HTTP/1.1\r\nHost: a.test/x\r\n\r\n", ReasonBadHost, 400},
	{"Host with userinfo", "GET / HTTP/1.1\r\nHost: u@a.test\r\n\r\n", ReasonBadHost, 400},
	{"Host with a list", "GET / HTTP/1.1\r\nHost: a.test, b.test\r\n\r\n", ReasonBadHost, 400},
	{"Host with a bad port", "GET / HTTP/1.1\r\nHost: a.test:x\r\n\r\n", ReasonBadHost, 400},

	// Framing.
	{"both lengths", post("Content-Length: 3", "Transfer-Encoding: chunked"), ReasonBothLengthAndChunked, 400},
	{"both lengths, the other way", post("Transfer-Encoding: chunked", "Content-Length: 3"), ReasonBothLengthAndChunked, 400},
	{"same length twice", post("Content-Length: 3", "Content-Length: 3"), ReasonDuplicateLength, 400},
	{"two lengths", post("Content-Length: 3", "Content-Length: 4"), ReasonMultipleLength, 400},
	{"list of lengths", post("Content-Length: 3, 3"), ReasonBadContentLength, 400},
	{"empty length", post("Content-Length:"), ReasonBadContentLength, 400},
	{"length with a plus", post("Content-Length: +3"), ReasonBadContentLength, 400},
	{"negative length", post("Content-Length: -3"), ReasonBadContentLength, 400},
	{"hexadecimal length", post("Content-Length: 0x3"), ReasonBadContentLength, 400},
	{"length with an underscore", post("Content-Length: 1_0"), ReasonBadContentLength, 400},
	{"length beyond 64 bits", post("Content-Length: 18446744073709551619"), ReasonBadContentLength, 400},
	{"length with a fraction", post("Content-Length: 3.0"), ReasonBadContentLength, 400},
	{"length in other digits", post("Content-Length: ٣"), ReasonBadContentLength, 400},
	{"unknown coding", post("Transfer-Encoding: xchunked"), ReasonBadTransferEncoding, 501},
	{"identity", post("Transfer-Encoding: identity"), ReasonBadTransferEncoding, 501},
	{"gzip before chunked", post("Transfer-Encoding: gzip, chunked"), ReasonBadTransferEncoding, 501},
	{"chunked with a parameter", post("Transfer-Encoding: chunked;a=b"), ReasonBadTransferEncoding, 501},
	{"quoted chunked", post(`Transfer-Encoding: "chunked"`), ReasonBadTransferEncoding, 400},
	{"empty coding", post("Transfer-Encoding:"), ReasonBadTransferEncoding, 400},
	{"chunked and a comma", post("Transfer-Encoding: chunked,"), ReasonBadTransferEncoding, 400},
	{"vertical tab before chunked", post("Transfer-Encoding: \x0bchunked"), ReasonNonCompliantHeader, 400},
	{"obs-text before chunked", post("Transfer-Encoding: \xa0chunked"), ReasonBadTransferEncoding, 400},
	{"chunked twice in a list", post("Transfer-Encoding: chunked, chunked"), ReasonMultipleChunked, 400},
	{"chunked twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), ReasonMultipleChunked, 400},
	{"chunked, then identity", post("Transfer-Encoding: chunked", "Transfer-Encoding: identity"), ReasonMultipleChunked, 400},
	{"chunked with HTTP/1.0", "POST / HTTP/1.0\r\nHost: a.test\r\nTransfer-Encoding: chunked\r\n\r\n", ReasonUndefinedEncoding, 400},
	{"chunked GET", get("Transfer-Encoding: chunked"), ReasonUndefinedEncoding, 400},
	{"GET with a body", get("Content-Length: 3"), ReasonUndefinedLength, 400},
	{"HEAD with a body", "HEAD" + get("Content-Length: 3")[3:], ReasonUndefinedLength, 400},
	{"GET with an empty body", get("Content-Length: 0"), ReasonZeroLength, 400},
	{"underscore in Transfer-Encoding", post("Transfer_Encoding: chunked"), ReasonSuspiciousHeader, 400},
	{"dot in Content-Length", post("Content.Length: 3"), ReasonSuspiciousHeader, 400},
	{"no hyphen in Content-Length", post("ContentLength: 3"), ReasonSuspiciousHeader, 400},
	{"three hyphens in Transfer-Encoding", post("Transfer---Encoding: chunked"), ReasonSuspiciousHeader, 400},
	{"space after Transfer-Encoding", post("Transfer-Encoding : chunked"), ReasonSuspiciousHeader, 400},
	{"control character before Content-Length", post("\x01Content-Length: 3"), ReasonSuspiciousHeader, 400},
	{"long s in Transfer-Encoding", post("Tranſfer-Encoding: chunked"), ReasonSuspiciousHeader, 400},
	{"dotless i in Transfer-Encoding", post("Transfer-Encodıng: chunked"), ReasonSuspiciousHeader, 400},
	{"no-break space after Content-Length", post("Content-Length\xa0: 3"), ReasonSuspiciousHeader, 400},
	{"Trailer announces framing", post("Transfer-Encoding: chunked", "Trailer: x, Content-Length"), ReasonBadTrailer, 400},
	{"another expectation", post("Content-Length: 3", "Expect: 200-ok"), ReasonUnknownExpectation, 417},

	// Size.
	{"request line too long", requestLine("GET /" + repeat("a", 16<<10) + " HTTP/1.1"), ReasonRequestLineTooLong, 414},
	{"request line too long, not ended", "GET /" + repeat("a", 16<<10), ReasonRequestLineTooLong, 414},
	{"field too long", get("A: " + repeat("a", 16<<10)), ReasonFieldTooLong, 431},
	{"head too long", get(strings.Split(repeat("A: "+repeat("a", 8000)+"\n", 9), "\n")[:9]...), ReasonHeadTooLong, 431},
	{"too many fields", get(strings.Split(repeat("A: b\n", 100), "\n")[:100]...), ReasonTooManyFields, 431},
}

func TestRefused(t *testing.T) {
	t.Parallel()
	h := start(t, false, Limits{}, func(x *exchange.Exchange) {
		t.Errorf("%s %s became an exchange", x.Method, x.RawPath)
	})
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			before := len(h.refusals())
			v := h.visit()
			v.send(c.raw)
			r, _ := v.answer("GET")
			if r.StatusCode != c.status || !r.Close {
				t.Errorf("answered %d, closing %v, want %d, closing", r.StatusCode, r.Close, c.status)
			}
			if id := r.Header.Get("X-Request-Id"); id != "id-of-refusal" {
				t.Errorf("X-Request-Id is %q", id)
			}
			v.expectEnd()
			got := h.refusals()[before:]
			if len(got) != 1 || got[0].Reason != c.reason || got[0].Status != c.status || got[0].Peer.String() != v.LocalAddr().String() {
				t.Errorf("refusals noted: %+v, want %s of %s", got, c.reason, v.LocalAddr())
			}
		})
	}
	if n := h.server.Connections().Refused; n != uint64(len(refused)) {
		t.Errorf("%d refusals counted, want %d", n, len(refused))
	}
}

// TestScanInPieces gives the scan a byte at a time: what is refused must not depend on how bytes arrive.
func TestScanInPieces(t *testing.T) {
	t.Parallel()
	limits := Limits{}.withDefaults()
	for _, c := range refused {
		var whole, pieces headScan
		raw := []byte(c.raw)
		end, why := whole.find(raw, &limits)
		var end2 int
		var why2 refusal
		for n := 1; n <= len(c.raw) && end2 == 0 && why2 == accepted; n++ {
			end2, why2 = pieces.find(raw[:n], &limits)
		}
		if end != end2 || why != why2 {
			t.Errorf("%s: at once %d %v, in pieces %d %v", c.name, end, why, end2, why2)
		}
	}
}

func TestAccepted(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw  string
		want exchange.Request // of these, what is not zero
	}{
		"plain":                   {get(), exchange.Request{Method: "GET", RawPath: "/", Host: "a.test", Hostname: "a.test"}},
		"own method":              {requestLine("X-do.it! / HTTP/1.1"), exchange.Request{Method: "X-do.it!"}},
		"query":                   {requestLine("GET /a?b=c?d HTTP/1.1"), exchange.Request{RawPath: "/a", RawQuery: "b=c?d", HasQuery: true}},
		"empty query":             {requestLine("GET /a? HTTP/1.1"), exchange.Request{RawPath: "/a", HasQuery: true}},
		"bytes from 0x80":         {requestLine("GET /ä?ö HTTP/1.1"), exchange.Request{RawPath: "/ä", RawQuery: "ö"}},
		"escapes as sent":         {requestLine("GET /%2F%00%61 HTTP/1.1"), exchange.Request{RawPath: "/%2F%00%61"}},
		"two slashes":             {requestLine("GET //b.test/x HTTP/1.1"), exchange.Request{RawPath: "//b.test/x", Host: "a.test"}},
		"absolute-form":           {requestLine("GET HTTP://A.test/x?y HTTP/1.1"), exchange.Request{RawPath: "/x", RawQuery: "y", Host: "a.test"}},
		"absolute-form, no path":  {requestLine("GET http://a.test HTTP/1.1"), exchange.Request{RawPath: "/"}},
		"absolute-form, query":    {requestLine("GET http://a.test?y HTTP/1.1"), exchange.Request{RawPath: "/", RawQuery: "y"}},
		"asterisk":                {requestLine("OPTIONS * HTTP/1.1"), exchange.Request{RawPath: "*"}},
		"asterisk in absolute":    {requestLine("OPTIONS http://a.test HTTP/1.1"), exchange.Request{RawPath: "*"}},
		"Host with port":          {"GET / HTTP/1.1\r\nhOST:  A.test:8443 \r\n\r\n", exchange.Request{Host: "A.test:8443", Hostname: "a.test"}},
		"HTTP/1.0 without Host":   {"GET / HTTP/1.0\r\n\r\n", exchange.Request{Protocol: exchange.HTTP10}},
		"HTTP/1.0, absolute-form": {"GET http://a.test/ HTTP/1.0\r\n\r\n", exchange.Request{Hostname: "a.test"}},
		"length":                  {post("Content-Length: 3") + "abc", exchange.Request{Length: 3}},
		"length with zeroes":      {post("Content-Length: 003") + "abc", exchange.Request{Length: 3}},
		"chunked":                 {post("transfer-ENCODING:\tChunked\t") + "0\r\n\r\n", exchange.Request{Length: -1}},
		"upgrade":                 {get("Connection: keep-alive, Upgrade", "Upgrade: WebSocket"), exchange.Request{Upgrade: "websocket"}},
		"trailers wanted":         {get("TE: trailers"), exchange.Request{AcceptTrailers: true}},
	} {
		t.Run(name, func(t *testing.T) {
			x := new(exchange.Exchange)
			x.Scheme = "http"
			why := parseWhole(c.raw, x)
			if why != accepted {
				t.Fatalf("refused: %v", why)
			}
			compareRequest(t, &x.Request, &c.want)
		})
	}
}

func parseWhole(raw string, x *exchange.Exchange) refusal {
	limits := Limits{}.withDefaults()
	var scan headScan
	n, why := scan.find([]byte(raw), &limits)
	if why != accepted {
		return why
	}
	return new(head).parse(raw[:n], &x.Request)
}

func compareRequest(t *testing.T, got, want *exchange.Request) {
	t.Helper()
	check := func(what string, got, want any, asked bool) {
		t.Helper()
		if asked && got != want {
			t.Errorf("%s is %v, want %v", what, got, want)
		}
	}
	check("method", got.Method, want.Method, want.Method != "")
	check("path", got.RawPath, want.RawPath, want.RawPath != "")
	check("query", got.RawQuery, want.RawQuery, want.HasQuery || want.RawQuery != "")
	check("HasQuery", got.HasQuery, true, want.HasQuery || want.RawQuery != "")
	check("host", got.Host, want.Host, want.Host != "")
	check("hostname", got.Hostname, want.Hostname, want.Hostname != "")
	check("length", got.Length, want.Length, true)
	check("upgrade", got.Upgrade, want.Upgrade, true)
	check("AcceptTrailers", got.AcceptTrailers, want.AcceptTrailers, true)
	check("protocol", got.Protocol, want.Protocol, want.Protocol != 0)
}

func TestFieldsKeepOrderAndSpelling(t *testing.T) {
	t.Parallel()
	x := new(exchange.Exchange)
	if why := parseWhole(get("b: 1", "A:  2\t", "b: ", "x.y_z: ä"), x); why != accepted {
		t.Fatal(why)
	}
	want := exchange.Fields{{Name: "b", Value: "1"}, {Name: "A", Value: "2"}, {Name: "b"}, {Name: "x.y_z", Value: "ä"}}
	if len(x.Fields) != len(want) {
		t.Fatalf("fields are %v, want %v", x.Fields, want)
	}
	for i := range want {
		if x.Fields[i] != want[i] {
			t.Errorf("field %d is %v, want %v", i, x.Fields[i], want[i])
		}
	}
}
