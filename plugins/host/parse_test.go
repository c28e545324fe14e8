package host

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"unicode/utf8"

	"github.com/onehost/edge/plugins/internal/proto"
)

func TestLinesAreReadAsTheyAreMeant(t *testing.T) {
	for line, want := range map[string]string{
		`plain`:      "INFO plain  []",
		`[WARN] x`:   "WARN x  []",
		`[1, 2]`:     "INFO [1, 2]  []",
		`{"a":1}`:    `INFO {"a":1}  []`,
		`{"msg":"x"`: `INFO {"msg":"x"  []`,
		`{"@message":"x","@level":"error","@timestamp":"t","@module":"m","delivery":"d1"}`: "ERROR x d1 [module=m]",
		`{"time":"t","level":"DEBUG","msg":"x","n":12345678901234567890,"o":{"a":[1]}}`:    `DEBUG x  [n=12345678901234567890 o={"a":[1]}]`,
		`{"message":"x","levelname":"INFO","delivery":7}`:                                  "INFO x  [delivery=7 levelname=INFO]",
	} {
		e := parseLine(line, hiding(nil))
		if got := fmt.Sprint(e.level, " ", e.text, " ", e.delivery, " ", e.fields); got != want {
			t.Errorf("%s\n got %s\nwant %s", line, got, want)
		}
	}
}

func TestLongLinesAndFloodsAreCutShort(t *testing.T) {
	log := &logged{}
	o := newOutput(slog.New(slog.NewTextHandler(log, nil)), nil)
	l := &lines{take: o.line}
	fmt.Fprint(l, strings.Repeat("x", lineMost), "yyy", "zz\nnext\nend")
	l.flush()
	if got := log.String(); !strings.Contains(got, "x… and 5 bytes more") || strings.Contains(got, "y") && strings.Contains(got, "zz") || !strings.Contains(got, "line=next") || !strings.Contains(got, "line=end") {
		t.Errorf("%s", got)
	}
	for range 2 * linesBurst {
		fmt.Fprintln(l, "flood")
	}
	if n := strings.Count(log.String(), "flood"); n < linesBurst/2 || n > linesBurst+linesBurst/2 {
		t.Errorf("%d lines were logged", n)
	}
}

func TestASecretIsHiddenHoweverItIsWritten(t *testing.T) {
	log := &logged{}
	o := newOutput(slog.New(slog.NewJSONHandler(log, nil)), map[string]string{"QUOTED": `pa"ss\word<&>`, "A": "abcdef", "LONGER": "abcdefTAIL"})
	l := &lines{take: o.line}
	slog.New(slog.NewJSONHandler(l, nil)).Info(`text pa"ss\word<&>`, "delivery", `pa"ss\word<&>`, "f", `pa"ss\word<&>`, "in", map[string]any{"list": []string{`pa"ss\word<&>`}}, `pa"ss\word<&>`, 1)
	fmt.Fprintln(l, "plain abcdefTAIL")
	for _, part := range []string{`word`, "TAIL"} {
		if strings.Contains(log.String(), part) || strings.Contains(o.printed(), part) {
			t.Errorf("%s is shown: %s %s", part, log, o.printed())
		}
	}
	if n := strings.Count(log.String(), "[QUOTED]"); n != 5 || !strings.Contains(log.String(), "plain [LONGER]") {
		t.Errorf("%d: %s", n, log)
	}
}

func TestAFloodOfLongLinesIsBoundedByItsBytes(t *testing.T) {
	log := &logged{}
	l := &lines{take: newOutput(slog.New(slog.NewTextHandler(log, nil)), nil).line}
	for range linesBurst {
		fmt.Fprintln(l, strings.Repeat("x", lineMost))
	}
	if n := len(log.String()); n > 2*linesBurst<<10 || strings.Count(log.String(), "prints too much") > 1 {
		t.Errorf("%d bytes were logged", n)
	}
}

func FuzzLine(f *testing.F) {
	for _, line := range []string{`{"@message":"x","@level":"info","delivery":"d"}`, "[ERROR] x", "panic: x", "{", "\xff", `{"msg":null,"level":3}`} {
		f.Add([]byte(line))
	}
	f.Fuzz(func(t *testing.T, line []byte) {
		log := &logged{}
		o := newOutput(slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})), map[string]string{"KEY": "a secret value"})
		l := &lines{take: o.line}
		_, _ = l.Write(line)
		l.flush()
		if strings.Contains(log.String(), "a secret value") || !utf8.ValidString(log.String()) || !utf8.ValidString(o.printed()) {
			t.Errorf("%q is logged as %s", line, log)
		}
	})
}

func FuzzHandshake(f *testing.F) {
	id, err := newIdentity()
	if err != nil {
		f.Fatal(err)
	}
	certificate := base64.RawStdEncoding.EncodeToString(id.certificate.Certificate[0])
	good := []string{"1|1|unix|/f/plugin1|grpc|" + certificate, "1|1|tcp|127.0.0.1:1234|grpc|" + certificate + "|true", "1|1|tcp|[::1]:1234|grpc|" + certificate}
	bad := []string{
		"1|1|unix|/f/../plugin1|grpc|" + certificate, "1|1|unix|plugin1|grpc|" + certificate, "1|1|tcp|10.0.0.1:1|grpc|" + certificate, "1|1|udp|127.0.0.1:1|grpc|" + certificate,
		"1|1|unix|/f/plugin1|netrpc|" + certificate, "1|1|unix|/f/plugin1|grpc|", "1|1|unix|/f/plugin1|grpc", "1|1|unix|/f/plugin1|grpc|" + certificate[:100], "hello", "1|1|tcp|localhost:1|grpc|" + certificate,
	}
	for _, line := range good {
		if _, err := parseHandshake(line, "/f"); err != nil || !looksLikeHandshake(line) {
			f.Errorf("%s: %v", line, err)
		}
		f.Add(line)
	}
	for _, line := range bad {
		if _, err := parseHandshake(line, "/f"); err == nil {
			f.Errorf("%s is taken", line)
		}
		f.Add(line)
	}
	f.Fuzz(func(t *testing.T, line string) {
		if h, err := parseHandshake(line, "/f"); err == nil && (len(h.certificate) == 0 || !strings.Contains(line, "grpc")) {
			t.Errorf("%q is taken", line)
		}
	})
}

func FuzzStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	if session, pages, ok := parseStat(own); !ok || session < 0 || pages < 100 {
		f.Errorf("%s: %d, %d", own, session, pages)
	}
	f.Add(own)
	f.Add([]byte("1 (a) b) c) S 1 2 3"))
	f.Fuzz(func(_ *testing.T, text []byte) { parseStat(text) })
}

func FuzzAnswer(f *testing.F) {
	f.Add(int32(200), "Content-Type", "text/plain", []byte("x"))
	f.Add(int32(0), "X", "a\r\nb", []byte(nil))
	f.Add(int32(101), "Upgrade", "h2c", []byte(nil))
	f.Fuzz(func(t *testing.T, status int32, name, value string, body []byte) {
		a, err := answerOf(&proto.Answer{Status: status, Header: []*proto.Field{{Name: name, Value: value}}, Body: body})
		if err == nil && (a.Status < 200 || a.Status > 599 || strings.ContainsAny(name+value, "\r\n\x00") || strings.EqualFold(name, "transfer-encoding")) {
			t.Errorf("%d %q: %q is taken", status, name, value)
		}
	})
}

func TestAnswersOfOthersAreNotTaken(t *testing.T) {
	many := make([]*proto.Field, fieldsMax+1)
	for i := range many {
		many[i] = &proto.Field{Name: "X", Value: "x"}
	}
	for name, a := range map[string]*proto.Answer{
		"informational": {Status: 103}, "beyond": {Status: 600}, "a body that is too large": {Body: make([]byte, bodyMost+1)}, "too many fields": {Header: many},
		"a head that is too large": {Header: []*proto.Field{{Name: "X", Value: strings.Repeat("x", headerMost)}}}, "a name with a colon": {Header: []*proto.Field{{Name: "X:", Value: "x"}}},
		"a hop's": {Header: []*proto.Field{{Name: "connection", Value: "close"}}}, "a length": {Header: []*proto.Field{{Name: "Content-Length", Value: "1"}}},
	} {
		if _, err := answerOf(a); err == nil {
			t.Errorf("%s is taken", name)
		}
	}
}

func TestOnlyTheCertificateOfTheHandshakeIsTalkedTo(t *testing.T) {
	edge, plugin, other := identityOf(t), identityOf(t), identityOf(t)
	var shaken atomic.Pointer[handshake]
	verify := edge.tls(&shaken).VerifyConnection
	state := func(i *identity) tls.ConnectionState {
		c, err := x509.ParseCertificate(i.certificate.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return tls.ConnectionState{PeerCertificates: []*x509.Certificate{c}}
	}
	if verify(state(plugin)) == nil {
		t.Error("one is talked to before it has said anything")
	}
	shaken.Store(&handshake{certificate: plugin.certificate.Certificate[0]})
	if verify(state(other)) == nil || verify(tls.ConnectionState{}) == nil || verify(state(plugin)) != nil {
		t.Error("it is not the certificate that counts")
	}
}

func identityOf(t *testing.T) *identity {
	i, err := newIdentity()
	if err != nil {
		t.Fatal(err)
	}
	return i
}
