package proxy

import (
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // what RFC 6455 asks for; nothing rests on it
	"encoding/base64"

	"github.com/onehost/edge/edge/internal/exchange"
)

// webSocket is the one protocol that a visitor may switch to. Any other Upgrade would be a way round the rules (h2c).
const webSocket = "websocket"

func wantsSwitch(x *exchange.Exchange) bool { return x.Request.Upgrade == webSocket }

// A webSocketKey is a Sec-WebSocket-Key of our own, "" where the visitor sent his and compares the answer himself.
type webSocketKey string

// newWebSocketKey returns what a handshake by HTTP/1.1 needs and one by a later version does not have
// (RFC 8441, section 5): that a server has read a request shows there by other means.
func newWebSocketKey(x *exchange.Exchange) webSocketKey {
	if x.Request.Protocol <= exchange.HTTP11 {
		return ""
	}
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	return webSocketKey(base64.StdEncoding.EncodeToString(nonce[:]))
}

// isAccepted reports whether a target's answer shows that it understood the key (RFC 6455, section 4.1), and takes that
// field out: it is not for the visitor.
func (k webSocketKey) isAccepted(answer *exchange.Fields) bool {
	if k == "" {
		return true
	}
	accept := answer.Get("Sec-WebSocket-Accept")
	answer.Del("Sec-WebSocket-Accept")
	return accept == k.accept()
}

// accept is of RFC 6455, section 4.2.2.
func (k webSocketKey) accept() string {
	sum := sha1.Sum([]byte(k + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) //nolint:gosec // see above
	return base64.StdEncoding.EncodeToString(sum[:])
}
