package http1

import (
	"bytes"
	"errors"
	"io"
)

// Limits of a chunked body. Nobody uses extensions, and they are ignored: what is enough here is enough for anything but an attack.
const (
	maxChunkLine   = 256      // bytes of a chunk's size with its extensions
	maxChunkExtras = 16 << 10 // bytes of all extensions of a body
	maxChunkDigits = 15       // which keep a size within an int64
	smallChunk     = 4 << 10  // up to here a chunk comes through the buffer, together with what follows it
)

// Chunks reads a chunked body (RFC 9112, section 7.1) from an input that holds a buffer.
type Chunks struct {
	// Padded allows for blanks behind a chunk's size, which old servers send (RFC 9112, section 7.1.1: "bad whitespace", which
	// a recipient has to take).
	Padded bool

	in       *Input
	trailers Trailers
	part     chunkPart
	left     int64 // of the chunk
	extra    int   // bytes of extensions so far
}

// Trailers takes the fields that follow a chunked body.
type Trailers interface {
	// Trailer takes one field, whose bytes are well-formed and its own. An error ends the body with it.
	Trailer(name, value string) error
	// TrailerLimits are how many bytes one line may have, and all of them together, and how many there may be.
	TrailerLimits() (line, all, count int)
}

// A chunkPart is what comes next.
type chunkPart uint8

const (
	chunkSize chunkPart = iota
	chunkData
	chunkEnd
	bodyEnd
)

// Reset begins a body.
func (c *Chunks) Reset(in *Input, t Trailers) { *c = Chunks{Padded: c.Padded, in: in, trailers: t} }

// Read returns io.EOF once the last chunk and the trailers have been read, [ErrMalformed] or [ErrFull], or the error of the
// connection; io.ErrUnexpectedEOF if that ended too soon.
func (c *Chunks) Read(p []byte) (int, error) {
	n, err := c.read(p)
	if errors.Is(err, io.EOF) && c.part != bodyEnd {
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *Chunks) read(p []byte) (int, error) {
	for {
		switch c.part {
		case chunkSize:
			if err := c.readSize(); err != nil {
				return 0, err
			}
			if c.left > 0 {
				c.part = chunkData
				continue
			}
			if err := c.readTrailers(); err != nil {
				return 0, err
			}
			c.part = bodyEnd
		case bodyEnd:
			return 0, io.EOF
		case chunkData:
			return c.readData(p)
		case chunkEnd:
			line, err := c.readLine(0)
			if err != nil {
				return 0, err
			}
			if len(line) > 0 {
				return 0, errChunk
			}
			c.part = chunkSize
		}
	}
}

// Ready reports whether the next Read surely returns at once: with data, the body's end or an error.
func (c *Chunks) Ready() bool {
	b := c.in.Unread()
	switch c.part {
	case chunkData:
		return len(b) > 0
	case chunkEnd:
		b = b[min(len(b), len("\r\n")):]
	case bodyEnd:
		return true
	case chunkSize:
	}
	size, data, whole := bytes.Cut(b, []byte{'\n'})
	if whole && len(size) > 0 && size[0] == '0' { // the end's size, by all appearances
		return bytes.HasPrefix(data, []byte("\r\n"))
	}
	return len(data) > 0
}

func (c *Chunks) readData(p []byte) (int, error) {
	if len(c.in.Unread()) == 0 && c.left < smallChunk {
		if err := c.in.Fill(smallChunk); err != nil {
			return 0, err
		}
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.in.Read(p)
	if c.left -= int64(n); c.left == 0 {
		c.part = chunkEnd
	}
	if n > 0 {
		return n, nil // an error waits for the next Read
	}
	return 0, err
}

// readLine returns the next line without its CRLF, valid until the next read. It has at most limit bytes.
func (c *Chunks) readLine(limit int) ([]byte, error) {
	scanned := 0
	for {
		unread := c.in.Unread()
		if i := bytes.IndexByte(unread[scanned:], '\n'); i >= 0 {
			end := scanned + i
			if end == 0 || unread[end-1] != '\r' || end-1 > limit {
				return nil, errChunk
			}
			c.in.Skip(end + 1)
			return unread[:end-1], nil
		}
		scanned = len(unread)
		if scanned > limit+1 {
			return nil, errChunk
		}
		if err := c.in.Fill(limit + 2); err != nil {
			return nil, err
		}
	}
}

// readSize reads chunk-size [ chunk-ext ] CRLF: digits, blanks only where they are allowed; extensions are checked and ignored.
func (c *Chunks) readSize() error {
	line, err := c.readLine(maxChunkLine)
	if err != nil {
		return err
	}
	size, extension, _ := bytes.Cut(line, []byte{';'})
	if c.Padded {
		size = bytes.TrimRight(size, " \t")
	}
	if len(size) == 0 || len(size) > maxChunkDigits {
		return errChunk
	}
	c.left = 0
	for _, digit := range size {
		d := HexDigit(digit)
		if d < 0 {
			return errChunk
		}
		c.left = c.left<<4 | int64(d)
	}
	for _, b := range extension {
		if b < ' ' && b != '\t' || b >= 0x7f {
			return errChunk
		}
	}
	if c.extra += len(extension); c.extra > maxChunkExtras {
		return errChunk
	}
	return nil
}

func (c *Chunks) readTrailers() error {
	lineLimit, all, count := c.trailers.TrailerLimits()
	for size := 0; ; count-- {
		line, err := c.readLine(lineLimit)
		if err != nil {
			return err
		}
		if len(line) == 0 {
			return nil
		}
		if size += len(line); count == 0 || size > all {
			return errChunk
		}
		name, value, rest, ok := scanField(string(line))
		if !ok || rest != "" {
			return errChunk
		}
		if err := c.trailers.Trailer(name, value); err != nil {
			return err
		}
	}
}
