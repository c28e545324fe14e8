// Package wire is the JSON of the api: what clients send is read here, and what they are told is written, byte for byte as Strapi does.
//
// In comes how values, entries, envelopes and errors look on their way. What is in them, other rooms decide.
package wire

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// JSON answers with a value of no content type, such as a token or a count: what encoding/json makes of it, without escaping HTML.
func JSON(w http.ResponseWriter, status int, v any) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // a value that we made ourselves can be written
	}
	Send(w, status, bytes.TrimSuffix(b.Bytes(), []byte("\n")))
}

// Send answers with JSON that has been written.
func Send(w http.ResponseWriter, status int, text []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(len(text)))
	w.WriteHeader(status)
	_, _ = w.Write(text)
}
