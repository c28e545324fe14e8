//go:build linux

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"strconv"
)

// serveUpstream is an HTTP/1.1 origin that costs as little as it can: /big is answered with 10 MiB, any other GET with 1 KiB, and what
// has a body, once that was read, with 2 bytes.
func serveUpstream(ln net.Listener) error {
	small, big, thanks := answer(1<<10), answer(10<<20), answer(2)
	for {
		c, err := ln.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer c.Close()
			in := bufio.NewReaderSize(c, 64<<10)
			for {
				r, err := readRequest(in)
				if err != nil {
					return
				}
				a := small
				switch {
				case r.body:
					a = thanks
				case r.big:
					a = big
				}
				if _, err := c.Write(a); err != nil {
					return
				}
			}
		}()
	}
}

func answer(size int) []byte {
	a := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nServer: upstream\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n", size)
	return append(a, bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]...)
}

type request struct{ big, body bool }

// readRequest reads a request with its body. It believes its peer, a proxy, as far as the syntax goes.
func readRequest(in *bufio.Reader) (request, error) {
	var r request
	line, err := in.ReadSlice('\n')
	if err != nil {
		return r, err
	}
	r.big = bytes.HasPrefix(line, []byte("GET /big"))
	length, chunked := int64(0), false
	for {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return r, err
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok {
			break // the empty line
		}
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.ParseInt(string(bytes.TrimSpace(value)), 10, 64); err != nil || length < 0 {
				return r, errors.New("a Content-Length that is none")
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			chunked = true
		}
	}
	r.body = chunked || length > 0
	if chunked {
		if _, err := io.Copy(io.Discard, httputil.NewChunkedReader(in)); err != nil {
			return r, err
		}
		_, err := in.ReadSlice('\n') // the line after the last chunk; no trailers are sent here
		return r, err
	}
	_, err = in.Discard(int(length))
	return r, err
}
