// Package wire is the JSON of the api: what clients send is read here, and what they are told is written, byte for byte as Strapi does.
//
// In comes how values, entries, envelopes and errors look on their way. What is in them, other rooms decide.
package wire

import (
	"log/slog"
	"net/http"
)

// MaxBody is how many bytes of JSON a request may have: as many as Strapi takes.
const MaxBody = 1 << 20

// Body reads what a request sent as JSON, which is an object, of at most limit bytes; 0 is [MaxBody]. Numbers are json.Number, null is nil. It is nil when there is none: no
// body, a list, or something else than JSON. The error is a [*problem.Error], or what went wrong while reading.
func Body(w http.ResponseWriter, r *http.Request, limit int64) (map[string]any, error) {
	panic("unwritten")
}

// Data is the data of a body, for an entry. The error is a [*problem.Error].
func Data(body map[string]any) (map[string]any, error) { panic("unwritten") }

// Parse reads one JSON value, as JSON.parse does. The error is a [*problem.Error] with V8's message.
func Parse(text []byte) (any, error) { panic("unwritten") }

// JSON answers with a value of no content type, such as a token or a count: what encoding/json makes of it, without escaping HTML.
func JSON(w http.ResponseWriter, status int, v any) { panic("unwritten") }

// Error answers with what went wrong: a [*problem.Error], or what a code of package fault stands for. What nobody expected is logged, and told as nothing but a 500.
func Error(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) { panic("unwritten") }
