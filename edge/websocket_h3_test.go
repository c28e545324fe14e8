package main

import (
	"context"
	"crypto/sha1"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// overH3 opens WebSockets by extended CONNECT (RFC 9220) as a browser does, each on a connection of its own, and shows
// them to coder/websocket as if HTTP/1.1 had carried them.
type overH3 struct{ s *running }

func (o overH3) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := &http3.Transport{}
	conn, err := quic.DialAddr(r.Context(), o.s.listeners.QUIC[0].LocalAddr().String(),
		&tls.Config{RootCAs: o.s.roots, ServerName: r.URL.Hostname(), NextProtos: []string{http3.NextProtoH3}}, &quic.Config{})
	if err != nil {
		return nil, err
	}
	o.s.t.Cleanup(func() { conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "") })
	client := transport.NewClientConn(conn)
	select {
	case <-client.ReceivedSettings():
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	if !client.Settings().EnableExtendedConnect {
		return nil, errors.New("the server does not take extended CONNECT")
	}
	stream, err := client.OpenRequestStream(r.Context())
	if err != nil {
		return nil, err
	}
	ask := r.Clone(r.Context())
	ask.Method, ask.Proto = http.MethodConnect, "websocket"
	for _, name := range []string{"Connection", "Upgrade", "Sec-Websocket-Key"} {
		ask.Header.Del(name)
	}
	if err := stream.SendRequestHeader(ask); err != nil {
		return nil, err
	}
	answer, err := stream.ReadResponse()
	if err != nil || answer.StatusCode != http.StatusOK {
		return answer, err
	}
	if answer.Header.Get("Sec-WebSocket-Accept") != "" {
		return nil, errors.New("the visitor is told what concerns the target")
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	answer.Header.Set("Sec-Websocket-Accept", base64.StdEncoding.EncodeToString(sum[:]))
	answer.Header.Set("Connection", "Upgrade")
	answer.Header.Set("Upgrade", "websocket")
	answer.StatusCode, answer.Body = http.StatusSwitchingProtocols, wholeStream{stream}
	return answer, nil
}

// wholeStream ends both directions with Close.
type wholeStream struct{ *http3.RequestStream }

func (s wholeStream) Close() error {
	s.CancelRead(quic.StreamErrorCode(http3.ErrCodeNoError))
	return s.RequestStream.Close()
}

// webSocket opens one, or returns the answer of who refuses it.
func (r *running) webSocket(ctx context.Context, protocol, url string) (*websocket.Conn, *http.Response, error) {
	client := r.client("h1")
	if protocol == "h3" {
		client = &http.Client{Transport: overH3{r}}
	}
	c, answer, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: client, Subprotocols: []string{"chat"}})
	if c != nil {
		c.SetReadLimit(2 << 20)
		r.t.Cleanup(func() { c.CloseNow() })
	}
	return c, answer, err
}

// webSocketProtocols are the ways in that WebSockets go.
var webSocketProtocols = []string{"h1", "h3"}

// echoes is a target whose WebSockets send back what comes, until they are told to close.
func echoes(t *testing.T, closed chan<- error) string {
	return upstream(t, "http", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			closed <- err
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(2 << 20)
		for {
			kind, data, err := c.Read(r.Context())
			if err == nil && string(data) == "go away" {
				err = c.Close(4001, "as you wish")
				closed <- err
				return
			}
			if err != nil {
				closed <- err
				return
			}
			c.Write(r.Context(), kind, data)
		}
	})
}

// TestWebSockets has one open over each protocol, talk, and be closed by either side.
func TestWebSockets(t *testing.T) {
	closed := make(chan error, 1)
	s := serve(t, forwarding, "TARGETS", echoes(t, closed))
	for _, protocol := range webSocketProtocols {
		t.Run(protocol, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			dial := func(path string) *websocket.Conn {
				t.Helper()
				c, answer, err := s.webSocket(ctx, protocol, "wss://localhost"+path)
				if err != nil {
					t.Fatal(err)
				}
				if c.Subprotocol() != "chat" || answer.Header.Get("X-Request-Id") == "" {
					t.Errorf("%v", answer.Header)
				}
				return c
			}
			c := dial("/" + protocol + "/visitor?room=1")
			for kind, text := range map[websocket.MessageType]string{websocket.MessageText: "é", websocket.MessageBinary: strings.Repeat("\x00\xff\x81 ", 1<<18)} {
				sent := make(chan error, 1)
				go func() { sent <- c.Write(ctx, kind, []byte(text)) }()
				if as, got, err := c.Read(ctx); err != nil || as != kind || string(got) != text {
					t.Errorf("%v of %d bytes came back, %v", as, len(got), err)
				}
				if err := <-sent; err != nil {
					t.Error(err)
				}
			}
			if err := c.Close(4000, "bye"); err != nil {
				t.Error(err)
			}
			if err := <-closed; websocket.CloseStatus(err) != 4000 {
				t.Errorf("the target sees %v", err)
			}
			s.logged(t, `"method":"GET","path":"/`+protocol+`/visitor","status":101,"bytes_in":10\d{5},"bytes_out":10\d{5},.*"protocol":"HTTP/`+protocol[1:])

			c = dial("/" + protocol + "/target")
			if err := c.Write(ctx, websocket.MessageText, []byte("go away")); err != nil {
				t.Fatal(err)
			}
			if _, _, err := c.Read(ctx); websocket.CloseStatus(err) != 4001 {
				t.Errorf("the visitor sees %v", err)
			}
			if err := <-closed; err != nil {
				t.Error(err)
			}
			c = dial("/" + protocol + "/gone")
			c.CloseNow()
			if err := <-closed; err == nil || websocket.CloseStatus(err) >= 0 {
				t.Errorf("after a visitor who just left the target sees %v", err)
			}
			s.logged(t, `"path":"/`+protocol+`/gone","status":101`)
		})
	}
}

// TestWebSocketThatIsNone shows what visitors are told of a target, or a rule, that does not switch.
func TestWebSocketThatIsNone(t *testing.T) {
	s := serve(t, forwarding, "TARGETS", rawUpstream(t, func(c net.Conn, head string) {
		key, _, _ := strings.Cut(head[strings.Index(head, "Sec-WebSocket-Key: ")+1:], "\r\n")
		if !strings.Contains(head, "Upgrade: websocket\r\n") || strings.Count(head, "Sec-WebSocket-Key: ") != 1 || len(key) < 24 {
			t.Errorf("the target is asked %q", head)
		}
		switch path := strings.Fields(head)[1]; path {
		case "/refused":
			io.WriteString(c, "HTTP/1.1 403 Forbidden\r\nX-Own: 1\r\nContent-Length: 7\r\n\r\nnot you")
		case "/wrong":
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		case "/none":
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		default:
			io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")
		}
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for _, c := range []struct {
		path, log string
		status    int
	}{
		{"/refused", `"status":403.*"target_status":403`, 403},
		{"/wrong", `"status":502.*"error_reason":"target_bad_response"`, 502},
		{"/none", `"status":502.*"error_reason":"target_bad_response"`, 502},
		{"/page", `"status":400.*"target_status":200`, 400},
	} {
		_, answer, err := s.webSocket(ctx, "h3", "wss://localhost"+c.path)
		if err == nil || answer == nil || answer.StatusCode != c.status {
			t.Errorf("%s: %v, %v", c.path, answer, err)
			continue
		}
		if body, _ := io.ReadAll(answer.Body); c.status == 403 && (string(body) != "not you" || answer.Header.Get("X-Own") != "1") {
			t.Errorf("%q, %v", body, answer.Header)
		}
		s.logged(t, fmt.Sprintf(`"path":"%s",%s`, c.path, c.log))
	}
}

// TestWebSocketsLiveToTheEndOfADrain cuts them off only when shutdown has passed, and says why in the log.
func TestWebSocketsLiveToTheEndOfADrain(t *testing.T) {
	for _, protocol := range webSocketProtocols {
		t.Run(protocol, func(t *testing.T) {
			closed := make(chan error, 1)
			s := serve(t, forwarding, "TARGETS", echoes(t, closed), "shutdown: 5s", "shutdown: 500ms")
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			c, _, err := s.webSocket(ctx, protocol, "wss://localhost/ws")
			if err != nil {
				t.Fatal(err)
			}
			stopped := make(chan error, 1)
			go func() { stopped <- s.stop() }()
			for s.Serving() {
				time.Sleep(time.Millisecond) // there is no event to see from outside; the deadline is the test's
			}
			if err := c.Write(ctx, websocket.MessageText, []byte("still there?")); err != nil {
				t.Error(err)
			}
			if _, got, err := c.Read(ctx); string(got) != "still there?" {
				t.Errorf("%q, %v", got, err)
			}
			if err := <-stopped; err != nil {
				t.Error(err)
			}
			if err := <-closed; err == nil {
				t.Error("the target is told that all went well")
			}
			s.logged(t, `"path":"/ws","status":101.*"error_reason":"shutdown"`)
		})
	}
}
