package proxy

import (
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
		x := &exchange.Exchange{Request: exchange.Request{Protocol: protocol, Upgrade: webSocket}}
		h := http.Header{"Sec-Websocket-Key": {"visitor's", "twice"}}
		key := addWebSocketKey(x, h)
		if values := h["Sec-Websocket-Key"]; (key != "") != own || own != (len(values) == 1) || own && values[0] != string(key) {
			t.Errorf("%v: %q, %q", protocol, key, values)
		}
	}
}
