package forms

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/textproto"
	"net/url"
	"slices"
	"strings"

	"github.com/onehost/edge/core/forms/submissions"
)

// The media types that a form is taken in.
const (
	urlencoded = "application/x-www-form-urlencoded"
	multiparts = "multipart/form-data"
	object     = "application/json"
)

// sent is what a visitor sent: its fields in their order, a name as often as it has values.
type sent struct {
	media string // urlencoded, multiparts or object
	items []item
}

// An item is one value of one field.
type item struct {
	name string
	text string // of a file: its name
	bare bool   // a JSON number or boolean, written as text says
	list bool   // one of a JSON list, of which the others stand beside it
	file *file  // nil: text
}

// A file is one that a visitor has chosen.
type file struct {
	media string // as the visitor's browser says
	data  []byte
}

// values are the items of a name.
func (s *sent) values(name string) (found []*item) {
	for i := range s.items {
		if s.items[i].name == name {
			found = append(found, &s.items[i])
		}
	}
	return found
}

// take takes a field out and returns its first text that is not empty.
func (s *sent) take(name string) (text string) {
	s.items = slices.DeleteFunc(s.items, func(i item) bool {
		if i.name == name && text == "" {
			text = i.text
		}
		return i.name == name
	})
	return text
}

// fields are the texts and the files as they are kept to be looked at.
func (s *sent) fields() (texts []submissions.Field, files []submissions.File) {
	for _, i := range s.items {
		if i.file == nil {
			texts = append(texts, submissions.Field{Name: i.name, Value: i.text})
		} else {
			files = append(files, submissions.File{Field: i.name, Name: i.text, Type: sniff(i.file.data), Size: int64(len(i.file.data))})
		}
	}
	return texts, files
}

// digest is the same for what says the same: the boundary of a multipart body, which a browser makes up anew each time, is not in it.
func (s *sent) digest() string {
	h := sha256.New()
	var size [8]byte
	add := func(part []byte) {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	add([]byte(s.media))
	for _, i := range s.items {
		add([]byte(i.name))
		add([]byte(i.text))
		fmt.Fprint(h, i.bare, i.list, i.file != nil)
		if i.file != nil {
			add([]byte(i.file.media))
			add(i.file.data)
		}
	}
	return base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// encode writes the fields as a body of the media type that they came in. The same fields give the same bytes.
func (s *sent) encode() (contentType string, body []byte, err error) {
	switch s.media {
	case object:
		body, err = s.encodeObject()
		return object, body, err
	case multiparts:
		return s.encodeMultipart()
	}
	var b bytes.Buffer
	for n, i := range s.items {
		if n > 0 {
			b.WriteByte('&')
		}
		b.WriteString(url.QueryEscape(i.name))
		b.WriteByte('=')
		b.WriteString(url.QueryEscape(i.text))
	}
	return urlencoded, b.Bytes(), nil
}

func (s *sent) encodeObject() ([]byte, error) {
	b := []byte{'{'}
	for n := 0; n < len(s.items); n++ {
		i := s.items[n]
		if n > 0 {
			b = append(b, ',')
		}
		name, err := json.Marshal(i.name)
		if err != nil {
			return nil, err
		}
		b = append(append(b, name...), ':')
		if !i.list {
			b, err = i.appendJSON(b)
		} else {
			b = append(b, '[')
			for b, err = i.appendJSON(b); err == nil && n+1 < len(s.items) && s.items[n+1].name == i.name; {
				n++
				b, err = s.items[n].appendJSON(append(b, ','))
			}
			b = append(b, ']')
		}
		if err != nil {
			return nil, err
		}
	}
	return append(b, '}'), nil
}

func (i item) appendJSON(to []byte) ([]byte, error) {
	if i.bare {
		return append(to, i.text...), nil
	}
	text, err := json.Marshal(i.text)
	return append(to, text...), err
}

// encodeMultipart takes a boundary out of the digest, which what it separates can't contain.
func (s *sent) encodeMultipart() (string, []byte, error) {
	sum := sha256.Sum256([]byte(s.digest()))
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	if err := w.SetBoundary("edge-" + hex.EncodeToString(sum[:16])); err != nil {
		return "", nil, err
	}
	for _, i := range s.items {
		header, data := textproto.MIMEHeader{}, []byte(i.text)
		disposition := `form-data; name="` + quoted(i.name) + `"`
		if i.file != nil {
			disposition += `; filename="` + quoted(i.text) + `"`
			header.Set("Content-Type", i.file.media)
			data = i.file.data
		}
		header.Set("Content-Disposition", disposition)
		part, err := w.CreatePart(header)
		if err != nil {
			return "", nil, err
		}
		if _, err := part.Write(data); err != nil {
			return "", nil, err
		}
	}
	if err := w.Close(); err != nil {
		return "", nil, err
	}
	return w.FormDataContentType(), b.Bytes(), nil
}

// quoted escapes a name for a quoted parameter, as browsers do (HTML, "multipart/form-data encoding algorithm").
func quoted(name string) string {
	return strings.NewReplacer(`"`, "%22", "\r", "%0D", "\n", "%0A", `\`, `\\`).Replace(name)
}
