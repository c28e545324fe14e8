package visit

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
)

// reader adds what it reads to a visit, up to the limits.
type reader struct {
	visit *Visit
	text  int
}

var (
	errTooMuch = &Fault{http.StatusRequestEntityTooLarge, "This is more than is taken."}
	errForm    = &Fault{http.StatusBadRequest, "This is not a form that can be read."}
	errJSON    = &Fault{http.StatusBadRequest, "This has to be one JSON object of texts, numbers, true and false."}
)

func (r *reader) add(name, value string) error {
	r.text += len(name) + len(value)
	if len(r.visit.Fields) >= maxFields || r.text > maxText || len(name) > maxName {
		return errTooMuch
	}
	r.visit.Fields = append(r.visit.Fields, Field{strings.ToValidUTF8(name, "\uFFFD"), strings.ToValidUTF8(value, "\uFFFD")})
	return nil
}

func (r *reader) urlencoded(body string) error {
	for pair := range strings.SplitSeq(body, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name, errName := url.QueryUnescape(name)
		value, errValue := url.QueryUnescape(value)
		if errName != nil || errValue != nil {
			return errForm
		}
		if err := r.add(name, value); err != nil {
			return err
		}
	}
	return nil
}

func (r *reader) multipart(body []byte, boundary string) error {
	if boundary == "" {
		return errForm
	}
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for n := range maxFields + 1 {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) && n > 0 {
			return nil
		}
		if err != nil {
			return errForm
		}
		if err := r.part(part); err != nil {
			return err
		}
	}
	return errTooMuch
}

func (r *reader) part(part *multipart.Part) error {
	if name := part.FileName(); name != "" {
		size, err := io.Copy(io.Discard, part)
		if err != nil {
			return errForm
		}
		if r.text += len(name); r.text > maxText || len(part.FormName()) > maxName {
			return errTooMuch
		}
		r.visit.Files = append(r.visit.Files, File{strings.ToValidUTF8(part.FormName(), "\uFFFD"), strings.ToValidUTF8(name, "\uFFFD"), size})
		return nil
	}
	value, err := io.ReadAll(io.LimitReader(part, maxText+1))
	if err != nil {
		return errForm
	}
	return r.add(part.FormName(), string(value))
}

// json reads an object whose values are texts, numbers, booleans and nothing, or lists of them, in the order in which they came.
func (r *reader) json(body []byte) error {
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return errJSON
	}
	for d.More() {
		token, err := d.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return errJSON
		}
		if err := r.value(d, name); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errJSON
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errJSON
	}
	return nil
}

func (r *reader) value(d *json.Decoder, name string) error {
	token, err := d.Token()
	if err != nil {
		return errJSON
	}
	if token != json.Delim('[') {
		return r.scalar(name, token)
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return errJSON
		}
		if err := r.scalar(name, token); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil {
		return errJSON
	}
	return nil
}

func (r *reader) scalar(name string, token json.Token) error {
	switch v := token.(type) {
	case string:
		return r.add(name, v)
	case json.Number:
		return r.add(name, v.String())
	case bool:
		if v {
			return r.add(name, "true")
		}
		return r.add(name, "false")
	case nil:
		return nil
	}
	return errJSON
}
