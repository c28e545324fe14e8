package http1

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestChunkedBodiesThatAreNone(t *testing.T) {
	for raw, want := range map[string]error{
		"5\r\nhel": io.ErrUnexpectedEOF, "5\r\nhello\r\n": io.ErrUnexpectedEOF, "": io.ErrUnexpectedEOF, "0\r\n": io.ErrUnexpectedEOF, "0\r\na: b\r\n": io.ErrUnexpectedEOF,
		"5\r\nhelloX\r\n0\r\n\r\n": ErrMalformed, "5\nhello\r\n0\r\n\r\n": ErrMalformed, " 5\r\nhello\r\n0\r\n\r\n": ErrMalformed, "0x5\r\nhello\r\n0\r\n\r\n": ErrMalformed,
		"\r\n": ErrMalformed, "-1\r\n": ErrMalformed, "5;a\x00\r\nhello\r\n0\r\n\r\n": ErrMalformed, "0000000000000000\r\n\r\n": ErrMalformed,
		"0\r\na b\r\n\r\n": ErrMalformed, "0\r\n" + strings.Repeat("a: b\r\n", 30) + "\r\n": ErrMalformed, "0\r\na: " + strings.Repeat("b", 2000) + "\r\n\r\n": ErrMalformed,
		"1;" + strings.Repeat("x", 300) + "\r\na\r\n0\r\n\r\n": ErrMalformed, strings.Repeat("1;"+strings.Repeat("x", 200)+"\r\na\r\n", 100) + "0\r\n\r\n": ErrMalformed,
	} {
		for _, step := range []int{1, 4096} {
			pool := Buffers{Size: 32}
			in := Input{From: &steps{[]byte(raw), step}}
			in.Borrow(&pool)
			var c Chunks
			c.Reset(&in, &trailers{})
			if _, err := io.ReadAll(&c); !errors.Is(err, want) {
				t.Errorf("%.60q in steps of %d: %v, want %v", raw, step, err, want)
			}
		}
	}
}

// impatient gives a few bytes at a time, and fails the test when it is asked for some although nobody should have to wait.
type impatient struct {
	steps
	t     *testing.T
	ready bool
}

func (r *impatient) Read(p []byte) (int, error) {
	if r.ready {
		r.t.Error("Ready, and yet more has to come")
	}
	return r.steps.Read(p)
}

// unchunk reads a chunked body in steps of so many bytes into parts of so many, and on after its end.
func unchunk(t *testing.T, raw []byte, step, part int) (body string, tail []string, rest string, err error) {
	from := impatient{steps{raw, step}, t, false}
	pool := Buffers{Size: 32}
	in := Input{From: &from}
	in.Borrow(&pool)
	var c Chunks
	var after trailers
	c.Reset(&in, &after)
	p := make([]byte, part)
	var b strings.Builder
	for err == nil {
		var n int
		from.ready = c.Ready()
		n, err = c.Read(p)
		b.Write(p[:n])
	}
	if err == io.EOF {
		from.ready = true
		if n, err := c.Read(p); n != 0 || err != io.EOF {
			t.Errorf("%q: after its end %d bytes, %v", raw, n, err)
		}
	}
	from.ready = false
	left, _ := io.ReadAll(&in)
	return b.String(), list(after.Fields), string(left), err
}

var chunked = []string{
	"5;a=b\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\nrest", "1\r\na\r\n01\r\nb\r\n0\r\n\r\n", "0\r\n\r\n0\r\n\r\n", "0;x\r\n\r\n", "000\r\nA: b\r\nA:\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
	"02\r\n\r\n\r\n0\r\n\r\n", "3\r\n\r\n0\r\n0\r\n\r\n", "1\r\n\n\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "5\r\nhello\rX\n0\r\n\r\n", "5\r\nhello\n5\r\nhello", "a\r\n0123456789\r\nG\r\n",
	"0\n\r\n", "0\r\n\n", "\n0", "0\r\r\n\r\n", "7fffffffffffffff\r\nx", "fffffffffffffff\r\nx", "20\r\n" + strings.Repeat("x", 32) + "\r\n0\r\n\r\n", "1388\r\n" + strings.Repeat("x", 5000) + "\r\n0\r\n\r\n",
}

// FuzzChunks: how a body is cut on its way changes nothing of it, and Ready never says so in vain.
func FuzzChunks(f *testing.F) {
	for _, raw := range chunked {
		f.Add([]byte(raw), uint8(0), uint8(0))
		f.Add([]byte(raw), uint8(6), uint8(255))
	}
	f.Fuzz(func(t *testing.T, raw []byte, step, part uint8) {
		body, tail, rest, err := unchunk(t, raw, len(raw)+1, 1<<20)
		b, s, r, e := unchunk(t, raw, int(step)+1, int(part)+1)
		if b != body && err == io.EOF || !errors.Is(e, err) || err == io.EOF && (r != rest || !slices.Equal(s, tail)) {
			t.Errorf("%q at once: %q %q %q %v\nin steps of %d: %q %q %q %v", raw, body, tail, rest, err, step, b, s, r, e)
		}
	})
}

func TestChunksAreTheSameHoweverTheyAreCut(t *testing.T) {
	for _, raw := range chunked {
		body, tail, rest, err := unchunk(t, []byte(raw), len(raw), 1<<20)
		for step := 1; step <= len(raw); step += 1 + step/50 {
			b, s, r, e := unchunk(t, []byte(raw), step, 1+step%7)
			if b != body || !errors.Is(e, err) || err == io.EOF && (r != rest || !slices.Equal(s, tail)) {
				t.Errorf("%.100q in steps of %d: %.100q %q %q %v, at once %.100q %q %q %v", raw, step, b, s, r, e, body, tail, rest, err)
			}
		}
	}
}

// TestReadyIsNotTooShy: what is there whole need not be flushed in parts.
func TestReadyIsNotTooShy(t *testing.T) {
	pool := Buffers{Size: 64}
	in := Input{From: &steps{[]byte("5\r\nhello\r\n2\r\nhi\r\n0\r\n\r\n"), 64}}
	in.Borrow(&pool)
	if err := in.Fill(64); err != nil {
		t.Fatal(err)
	}
	var c Chunks
	c.Reset(&in, &trailers{})
	var err error
	for p := make([]byte, 10); err == nil; _, err = c.Read(p) {
		if !c.Ready() {
			t.Errorf("not ready before %q", in.Unread())
		}
	}
	if err != io.EOF {
		t.Error(err)
	}
}

func TestBlanksBehindASizeAreForThoseWhoAllowThem(t *testing.T) {
	for _, raw := range []string{"5  \r\nhello\r\n0 \r\n\r\n", "5\t;a=b\r\nhello\r\n0\r\n\r\n"} {
		for _, padded := range []bool{false, true} {
			pool := Buffers{Size: 64}
			in := Input{From: &steps{[]byte(raw), 3}}
			in.Borrow(&pool)
			c := Chunks{Padded: padded}
			c.Reset(&in, &trailers{})
			body, err := io.ReadAll(&c)
			if padded && (err != nil || string(body) != "hello") || !padded && !errors.Is(err, ErrMalformed) {
				t.Errorf("%q, padded %t: %q, %v", raw, padded, body, err)
			}
		}
	}
}
