package proxy

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func TestWhyAnAnswerIsRefusedIsSaidOnceAMinute(t *testing.T) {
	for answer, why := range map[string]string{
		"HTTP/1.1 200 OK\nContent-Length: 2\n\nok":                                            "does not end with CR LF",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok":                 "do not say one thing",
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": "do not say one thing",
		"ICY 200 OK\r\n\r\n": "status line or a field is none",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhi!\n": "a chunk or a trailer is none",
	} {
		var said bytes.Buffer
		h := to(t, says(t, answer)).(*forward)
		h.proxy.log = slog.New(slog.NewTextHandler(&said, nil))
		for range 3 {
			_, r := exchangetest.New("GET", "/")
			r.Serve(exchange.HandlerFunc(h.ServeExchange))
		}
		if log := said.String(); strings.Count(log, "\n") != 1 || !strings.Contains(log, why) || !strings.Contains(log, "target=http://127.0.0.1:") {
			t.Errorf("%q: %s", answer, log)
		}
	}
}
