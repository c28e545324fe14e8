package gateway

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/http/httpguts"

	"github.com/onehost/edge/core/lambda"
)

// maxHeader is how long the names and values of an answer's fields may be, in bytes; browsers take hardly more.
const maxHeader = 64 << 10

// Answer is what a function has said to a visitor.
type Answer struct {
	Status int         // 200 to 599
	Header http.Header // fields that may be sent as they are; none says how the body is framed
	Body   []byte
}

// ReadAnswer reads what a function has returned, by the rules of payload format 2.0:
//   - JSON that is no object with a statusCode is the body of a 200 of type application/json; a string is the body without its quotes.
//   - Otherwise statusCode, headers, cookies, body and isBase64Encoded make the answer. Each cookie becomes a Set-Cookie. Without a
//     content-type it is text/plain; charset=utf-8. multiValueHeaders, which Go's type for such answers has, belongs to format 1.0: API
//     Gateway ignores it, and so does this.
//
// As functions written for API Gateway's REST APIs expect, statusCode may be a string of digits, and a header's value a number or a
// boolean. Of a name given in several spellings the one that sorts last (lower case) counts.
//
// Fields for one connection (Connection, Transfer-Encoding, …), which adapters of web frameworks pass on, are left out, as is a
// Content-Length that is right. It is an error, which a visitor gets a 502 for, when the payload is no JSON (API Gateway was seen to send
// even that, as a 200), when statusCode is none of a final answer, when a header could not be sent or lies about the body's length, when base64 is
// broken, or when it is all too large. Such errors name what is wrong and hold nothing of the payload but a header's name.
func ReadAnswer(payload []byte) (Answer, error) {
	if len(payload) > lambda.MaxEvent {
		return Answer{}, fmt.Errorf("an answer of %d bytes: a function may give %d", len(payload), lambda.MaxEvent)
	}
	payload = bytes.TrimSpace(payload)
	if len(payload) == 0 || payload[0] != '{' {
		return inferred(payload)
	}
	var fields map[string]json.RawMessage // not a struct, which would take StatusCode for statusCode
	if err := json.Unmarshal(payload, &fields); err != nil {
		return Answer{}, errNotJSON
	}
	if _, ok := fields["statusCode"]; !ok {
		return inferred(payload)
	}
	return structured(fields)
}

var errNotJSON = errors.New("the answer is not JSON")

func inferred(payload []byte) (Answer, error) {
	if !json.Valid(payload) {
		return Answer{}, errNotJSON
	}
	body := payload
	if payload[0] == '"' {
		var text string
		if err := json.Unmarshal(payload, &text); err != nil {
			return Answer{}, errNotJSON
		}
		body = []byte(text)
	}
	return Answer{Status: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: body}, nil
}

func structured(fields map[string]json.RawMessage) (a Answer, err error) {
	if a.Status, err = readStatus(fields["statusCode"]); err != nil {
		return Answer{}, err
	}
	if a.Body, err = readBody(fields["body"], fields["isBase64Encoded"]); err != nil {
		return Answer{}, err
	}
	if a.Header, err = readHeader(fields["headers"], len(a.Body)); err != nil {
		return Answer{}, err
	}
	if err = addCookies(a.Header, fields["cookies"]); err != nil {
		return Answer{}, err
	}
	if _, typed := a.Header["Content-Type"]; !typed && len(a.Body) > 0 {
		a.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	size := 0
	for name, values := range a.Header {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	if size > maxHeader {
		return Answer{}, fmt.Errorf("headers and cookies of %d bytes: %d are taken", size, maxHeader)
	}
	return a, nil
}

// readStatus takes no 1xx: an answer is final.
func readStatus(raw json.RawMessage) (int, error) {
	text := string(raw)
	if len(text) == len(`"200"`) && text[0] == '"' {
		text = text[1:4]
	}
	status, err := strconv.Atoi(text)
	if err != nil || len(text) != 3 || status < 200 || status > 599 {
		return 0, errors.New("statusCode is not an integer from 200 to 599")
	}
	return status, nil
}

func readBody(raw, encoded json.RawMessage) ([]byte, error) {
	text, err := readText(raw)
	if err != nil {
		return nil, errors.New("body is not a string: an object has to be made JSON text first")
	}
	var base64ed bool
	if encoded != nil && json.Unmarshal(encoded, &base64ed) != nil {
		return nil, errors.New("isBase64Encoded is not true or false")
	}
	if !base64ed {
		return text, nil
	}
	body := make([]byte, base64.StdEncoding.DecodedLen(len(text)))
	n, err := base64.StdEncoding.Decode(body, text)
	if err != nil {
		return nil, errors.New("isBase64Encoded is true and body is not base64")
	}
	return body[:n], nil
}

// readText reads a string, of which nothing or null is an empty one. Base64 is most of what is long, and has nothing that is escaped.
func readText(raw json.RawMessage) ([]byte, error) {
	if len(raw) > 0 && raw[0] == '"' && bytes.IndexByte(raw, '\\') < 0 && utf8.Valid(raw) {
		return raw[1 : len(raw)-1], nil
	}
	var text string
	if raw != nil {
		if err := json.Unmarshal(raw, &text); err != nil {
			return nil, err
		}
	}
	return []byte(text), nil
}

// framing are fields that the connection to the visitor decides on, not the function.
var framing = []string{"Connection", "Keep-Alive", "Proxy-Connection", "Te", "Trailer", "Transfer-Encoding", "Upgrade"}

func readHeader(raw json.RawMessage, length int) (http.Header, error) {
	var given map[string]json.RawMessage
	if raw != nil && json.Unmarshal(raw, &given) != nil {
		return nil, errors.New("headers is not an object")
	}
	h := make(http.Header, len(given)+2)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if !httpguts.ValidHeaderFieldName(name) {
			return nil, fmt.Errorf("headers: %.100q is no name of a header", name)
		}
		value, err := scalar(given[name])
		if err != nil || !httpguts.ValidHeaderFieldValue(value) {
			return nil, fmt.Errorf("headers: the value of %.100s is no text that a header may have", name)
		}
		key := http.CanonicalHeaderKey(name)
		switch {
		case key == "Content-Length":
			if n, err := strconv.Atoi(value); err != nil || length > 0 && n != length {
				return nil, fmt.Errorf("headers: Content-Length is not the body's, which has %d bytes", length)
			}
		case !slices.Contains(framing, key):
			h[key] = []string{strings.Trim(value, " \t")}
		}
	}
	return h, nil
}

// scalar is a string, or the text of a number or boolean.
func scalar(raw json.RawMessage) (string, error) {
	switch raw[0] {
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err
	case '{', '[', 'n':
		return "", errors.New("not a scalar")
	}
	return string(raw), nil
}

func addCookies(h http.Header, raw json.RawMessage) error {
	var cookies []string
	if raw != nil && json.Unmarshal(raw, &cookies) != nil {
		return errors.New("cookies is not a list of strings")
	}
	for _, cookie := range cookies {
		if cookie = strings.Trim(cookie, " \t"); cookie == "" || !httpguts.ValidHeaderFieldValue(cookie) {
			return errors.New("cookies: one is no text that Set-Cookie may have")
		}
		h.Add("Set-Cookie", cookie)
	}
	return nil
}

// Write sends the answer. One that has no body by its status (204, 205, 304) is sent without; that of a HEAD w leaves out itself.
func (a Answer) Write(w http.ResponseWriter) {
	h := w.Header()
	maps.Copy(h, a.Header)
	switch a.Status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		w.WriteHeader(a.Status)
		return
	}
	if len(a.Body) > 0 {
		h.Set("Content-Length", strconv.Itoa(len(a.Body)))
	}
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body) // a visitor who is gone is nobody's error
}
