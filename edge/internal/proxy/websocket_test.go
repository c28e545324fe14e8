package proxy

import (
	"bufio"
	"bytes"
	"net/http"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestWebSocketKeyIsAnsweredAsTheRFCSays(t *testing.T) {
	if got := webSocketKey("dGhlIHNhbXBsZSBub25jZQ==").accept(); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("%s is not the answer of RFC 6455, section 1.3", got)
	}
}

// A visitor by HTTP/1.1 has a key of his own; by HTTP/3 there is none, and what is sent all the same counts for nothing.
func TestWhoseWebSocketKeyIsSent(t *testing.T) {
	for protocol, own := range map[exchange.Protocol]bool{exchange.HTTP11: false, exchange.HTTP3: true} {
		x := &exchange.Exchange{Request: exchange.Request{Protocol: protocol, Method: "GET", RawPath: "/", Upgrade: webSocket}}
		x.Fields = exchange.Fields{{Name: "Sec-Websocket-Key", Value: "visitor's"}}
		b, key, err := newH1Way(&dialer{}, "app").appendHead(nil, &attempt{x: x})
		r, parsing := http.ReadRequest(bufio.NewReader(bytes.NewReader(b)))
		if err != nil || parsing != nil {
			t.Fatalf("%q: %v, %v", b, err, parsing)
		}
		want := "visitor's"
		if own {
			want = string(key)
		}
		if values := r.Header["Sec-Websocket-Key"]; (key != "") != own || len(values) != 1 || values[0] != want {
			t.Errorf("%v: %q, %q", protocol, key, values)
		}
	}
}
