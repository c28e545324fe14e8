package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// house is everything that a request may meet, and an access log on a file.
const house = `
log: {access: ./access.log}
sites:
  app: {root: SITE}
target_groups:
  app: {targets: [TARGET]}
hosts:
  localhost:
    tls: TLS
    limits: {concurrency: 100, rate: 1000000/s, burst: 1000000, body: 1MiB, idle: 30s}
    rules:
      - {path: /static/*, site: app, headers: {response: {set: {X-Frame-Options: DENY}}}}
      - {path_regex: "^/old/[0-9]+$", respond: {status: 410, type: text/plain, body: gone}}
      - {path: /app/*, method: [GET, POST], forward: app, limits: {concurrency: 50, rate: 1000000/s, burst: 1000000}}
    default: {site: app}
`

// A steadyVisitor asks for the same thing again and again, without an allocation of its own.
type steadyVisitor struct {
	t       testing.TB
	conn    net.Conn
	request []byte
	answer  [4 << 10]byte
	size    int // of an answer
}

// visit opens a house with a target that answers 1 KiB, and has a visitor ask once.
func visit(t testing.TB, secure bool, path, body string) *steadyVisitor {
	t.Helper()
	tls := map[bool]string{true: "{issuers: [local]}", false: "off"}[secure]
	site := t.TempDir()
	if err := os.MkdirAll(filepath.Join(site, "static"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"index.html", "static/1k.bin"} {
		if err := os.WriteFile(filepath.Join(site, name), bytes.Repeat([]byte("a"), 1<<10), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := serve(t, house, "TLS", tls, "SITE", site, "TARGET", steadyTarget(t))
	v := &steadyVisitor{t: t}
	if secure {
		v.conn = s.connect("localhost")
	} else {
		v.conn = s.plain()
	}
	method := "GET"
	if body != "" {
		method = "POST"
	}
	v.request = []byte(method + " " + path + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)\r\n" +
		"Accept: */*\r\nAccept-Encoding: gzip, deflate, br, zstd\r\nAccept-Language: en-GB,en;q=0.9\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\n" +
		"Cookie: session=abcdefghijklmnopqrstuvwxyz\r\nX-Forwarded-For: 192.0.2.9\r\n" + lengthOf(body) + "\r\n" + body)
	v.send()
	for !bytes.Contains(v.answer[:v.size], []byte("\r\n\r\n")) || v.size < 1<<10 {
		n, err := v.conn.Read(v.answer[v.size:])
		if err != nil {
			t.Fatal(err)
		}
		v.size += n
	}
	if !bytes.HasPrefix(v.answer[:], []byte("HTTP/1.1 200 OK\r\n")) {
		t.Fatalf("%s", v.answer[:v.size])
	}
	v.size = bytes.Index(v.answer[:], []byte("\r\n\r\n")) + len("\r\n\r\n") + 1<<10
	return v
}

func (v *steadyVisitor) send() {
	if _, err := v.conn.Write(v.request); err != nil {
		v.t.Fatal(err)
	}
}

// ask is one exchange.
func (v *steadyVisitor) ask() {
	v.send()
	if _, err := io.ReadFull(v.conn, v.answer[:v.size]); err != nil {
		v.t.Fatal(err)
	}
}

func lengthOf(body string) string {
	if body == "" {
		return ""
	}
	return "Content-Type: text/plain\r\nContent-Length: " + strconv.Itoa(len(body)) + "\r\n"
}

// steadyTarget starts a target that answers every request, which has to come in one piece, without allocating.
func steadyTarget(t testing.TB) string {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	answer := []byte("HTTP/1.1 200 OK\r\nServer: app\r\nContent-Type: text/plain; charset=utf-8\r\nCache-Control: no-cache\r\nContent-Length: 1024\r\n\r\n" + strings.Repeat("a", 1<<10))
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				for request := make([]byte, 16<<10); ; {
					if _, err := c.Read(request); err != nil {
						return
					}
					if _, err := c.Write(answer); err != nil {
						return
					}
				}
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

func BenchmarkForward(b *testing.B)     { benchmarkVisit(b, false, "/app/articles/42?page=2", "") }
func BenchmarkForwardPost(b *testing.B) { benchmarkVisit(b, false, "/app/articles", "title=hello") }
func BenchmarkForwardTLS(b *testing.B)  { benchmarkVisit(b, true, "/app/articles/42?page=2", "") }
func BenchmarkSite(b *testing.B)        { benchmarkVisit(b, false, "/static/1k.bin", "") }
func BenchmarkSiteTLS(b *testing.B)     { benchmarkVisit(b, true, "/static/1k.bin", "") }

func benchmarkVisit(b *testing.B, secure bool, path, body string) {
	v := visit(b, secure, path, body)
	b.ReportAllocs()
	for b.Loop() {
		v.ask()
	}
}
