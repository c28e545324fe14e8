package forms

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/onehost/edge/core/fault"
)

// Bounds of what is read of one submission, whatever its body's limit.
const (
	maxItems    = 200 // values of fields
	maxFiles    = 20
	maxName     = 128  // bytes of a field's name
	maxFileName = 255  // bytes
	maxPartHead = 4096 // bytes of a field of a part's head: a name and a file's, encoded
	readTimeout = 30 * time.Second
)

// errMedia is the answer to a body that is not one of a form.
var errMedia = &refusal{status: http.StatusUnsupportedMediaType, outcome: Malformed, code: "media_type",
	detail: "A form is sent as application/x-www-form-urlencoded, multipart/form-data or application/json, in UTF-8 and not compressed."}

// A mediaType is what Content-Type says of a body that can be read.
type mediaType struct {
	name     string
	boundary string // of multiparts
}

// readMediaType reads a request's Content-Type; errMedia is what is no form's.
func readMediaType(h http.Header) (mediaType, error) {
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return mediaType{}, errMedia
	}
	types := h.Values("Content-Type")
	if len(types) != 1 {
		return mediaType{}, errMedia
	}
	name, params, err := mime.ParseMediaType(types[0])
	if err != nil || !isUTF8(params["charset"]) {
		return mediaType{}, errMedia
	}
	switch name {
	case urlencoded, object:
		return mediaType{name: name}, nil
	case multiparts:
		if b := params["boundary"]; b != "" && len(b) <= 70 { // RFC 2046, section 5.1.1
			return mediaType{name: name, boundary: b}, nil
		}
	}
	return mediaType{}, errMedia
}

func isUTF8(charset string) bool {
	switch strings.ToLower(charset) {
	case "", "utf-8", "utf8", "us-ascii":
		return true
	}
	return false
}

// readBody reads a body of at most limit bytes, within readTimeout. What is larger is too_large, mostly before anything of it is read.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, error) {
	const over = "What you sent has more than the %s that this form takes."
	if r.ContentLength > limit {
		return nil, tooLarge(over, bytesText(limit))
	}
	control := http.NewResponseController(w)
	if control.SetReadDeadline(time.Now().Add(readTimeout)) == nil {
		defer func() { _ = control.SetReadDeadline(time.Time{}) }() // a connection that is gone needs none
	}
	var b bytes.Buffer
	if r.ContentLength > 0 {
		b.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(r.Body, limit+1))
	if _, cut := errors.AsType[*http.MaxBytesError](err); cut || n > limit {
		return nil, tooLarge(over, bytesText(limit))
	}
	if err != nil {
		return nil, invalid("What you sent did not arrive whole.")
	}
	return b.Bytes(), nil
}

// invalid is the answer to what can't be meant.
func invalid(format string, args ...any) error {
	return &refusal{status: http.StatusBadRequest, outcome: Malformed, code: string(fault.Invalid), detail: fmt.Sprintf(format, args...)}
}

// tooLarge is the answer to more than is taken.
func tooLarge(format string, args ...any) error {
	return &refusal{status: http.StatusRequestEntityTooLarge, outcome: Malformed, code: string(fault.TooLarge), detail: fmt.Sprintf(format, args...)}
}

// decode reads a body strictly: what two programs could read differently is refused.
func decode(m mediaType, body []byte) (*sent, error) {
	s := &sent{media: m.name}
	var err error
	switch m.name {
	case object:
		err = s.decodeObject(body)
	case multiparts:
		err = s.decodeMultipart(body, m.boundary)
	default:
		err = s.decodeURL(body)
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

// add takes one more item, within the bounds.
func (s *sent) add(i item) error {
	switch {
	case len(s.items) == maxItems:
		return tooLarge("A form has at most %d fields.", maxItems)
	case i.name == "":
		return invalid("A field has no name.")
	case len(i.name) > maxName:
		return invalid("The name of a field has more than %d bytes.", maxName)
	case !utf8.ValidString(i.name) || strings.ContainsFunc(i.name, unicode.IsControl):
		return invalid("The name of a field is not plain text in UTF-8.")
	case !utf8.ValidString(i.text):
		return invalid("Field %q is not UTF-8.", i.name)
	case strings.Contains(i.text, "\x00"):
		return invalid("Field %q has a NUL in it.", i.name)
	}
	s.items = append(s.items, i)
	return nil
}

// decodeURL reads application/x-www-form-urlencoded (WHATWG URL, section 5), but refuses broken escapes.
func (s *sent) decodeURL(body []byte) error {
	for pair := range strings.SplitSeq(string(body), "&") {
		if pair == "" {
			continue
		}
		name, text, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(name)
		if err != nil {
			return invalid("A field's name is not well encoded.")
		}
		if text, err = url.QueryUnescape(text); err != nil {
			return invalid("Field %q is not well encoded.", name)
		}
		if err := s.add(item{name: name, text: text}); err != nil {
			return err
		}
	}
	return nil
}

// decodeObject reads a flat JSON object. null and empty lists are as if they were not there.
func (s *sent) decodeObject(body []byte) error {
	if !utf8.Valid(body) || !json.Valid(body) {
		return invalid("This is not JSON in UTF-8.")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return invalid("A form is a JSON object.")
	}
	seen := make(map[string]bool)
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return invalid("This is not JSON.")
		}
		name, _ := t.(string)
		if seen[name] {
			return invalid("Field %q is there twice.", name)
		}
		if seen[name] = true; len(seen) > maxItems {
			return tooLarge("A form has at most %d fields.", maxItems)
		}
		if err := s.decodeValue(d, name, false); err != nil {
			return err
		}
	}
	return nil
}

func (s *sent) decodeValue(d *json.Decoder, name string, list bool) error {
	t, err := d.Token()
	if err != nil {
		return invalid("This is not JSON.")
	}
	switch v := t.(type) {
	case string:
		return s.add(item{name: name, text: v, list: list})
	case json.Number:
		return s.add(item{name: name, text: v.String(), list: list, bare: true})
	case bool:
		return s.add(item{name: name, text: fmt.Sprint(v), list: list, bare: true})
	case nil:
		return nil
	}
	if list || t != json.Delim('[') {
		return invalid("Field %q may have texts, numbers, true and false, and lists of these.", name)
	}
	for n := 0; d.More(); n++ {
		if n == maxItems {
			return tooLarge("A field has at most %d values.", maxItems)
		}
		if err := s.decodeValue(d, name, true); err != nil {
			return err
		}
	}
	if _, err := d.Token(); err != nil { // the end of the list
		return invalid("This is not JSON.")
	}
	return nil
}

// decodeMultipart reads multipart/form-data (RFC 7578) in memory, where the body is already.
func (s *sent) decodeMultipart(body []byte, boundary string) error {
	parts := multipart.NewReader(bytes.NewReader(body), boundary)
	for files, empty := 0, 0; ; {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return invalid("This is not well-formed multipart/form-data.")
		}
		i, err := readPart(part)
		if err != nil {
			return err
		}
		if i.file != nil {
			if i.text == "" && len(i.file.data) == 0 {
				if empty++; empty > maxItems {
					return tooLarge("A form has at most %d fields.", maxItems)
				}
				continue // what browsers send of an input where no file was chosen
			}
			if files++; files > maxFiles {
				return tooLarge("A form has at most %d files.", maxFiles)
			}
		}
		if err := s.add(i); err != nil {
			return err
		}
	}
}

func readPart(part *multipart.Part) (item, error) {
	for _, values := range part.Header {
		for _, value := range values {
			if len(value) > maxPartHead {
				return item{}, tooLarge("A part of the form has a head of more than %s.", bytesText(maxPartHead))
			}
		}
	}
	kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Disposition"))
	if err != nil || kind != "form-data" || len(part.Header["Content-Disposition"]) != 1 {
		return item{}, invalid("A part of the form does not say which field it is.")
	}
	switch strings.ToLower(part.Header.Get("Content-Transfer-Encoding")) {
	case "", "7bit", "8bit", "binary":
	default:
		return item{}, invalid("A part of the form is encoded: send it as it is.")
	}
	media, mediaParams, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
	if err != nil {
		media = "application/octet-stream"
	}
	data, err := io.ReadAll(part) // of a body that is in memory: no larger than that
	if err != nil {
		return item{}, invalid("This is not well-formed multipart/form-data.")
	}
	name := unquoted(params["name"])
	fileName, isFile := params["filename"]
	if !isFile {
		if !isUTF8(mediaParams["charset"]) {
			return item{}, invalid("Field %q is not in UTF-8.", name)
		}
		return item{name: name, text: string(data)}, nil
	}
	fileName = unquoted(fileName)
	fileName = fileName[strings.LastIndexAny(fileName, `/\`)+1:]
	if fileName == "" && len(data) > 0 { // functions would read it as a text, which was not judged as one
		return item{}, invalid("A file has no name.")
	}
	if len(fileName) > maxFileName || strings.ContainsFunc(fileName, unicode.IsControl) {
		return item{}, invalid("The name of a file is too long, or not plain text.")
	}
	return item{name: name, text: fileName, file: &file{media: media, data: data}}, nil
}

// unquoted undoes quoted.
func unquoted(name string) string {
	return strings.NewReplacer("%22", `"`, "%0D", "\r", "%0A", "\n", "%0d", "\r", "%0a", "\n").Replace(name)
}

// bytesText says a size to people.
func bytesText(n int64) string {
	switch {
	case n >= 1<<20 && n%(1<<20) == 0:
		return fmt.Sprintf("%d MiB", n>>20)
	case n >= 1<<10 && n%(1<<10) == 0:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}
