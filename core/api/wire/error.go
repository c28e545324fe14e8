package wire

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/fault"
)

// retryAfter is what is said of what is away.
const retryAfter = 5 * time.Second

// Error answers with what went wrong: a [*problem.Error], or what a code of package fault stands for. What nobody expected is logged, and told as nothing but a 500.
func Error(w http.ResponseWriter, r *http.Request, log *slog.Logger, err error) {
	p, ok := errors.AsType[*problem.Error](err)
	if !ok {
		p = known(err)
		switch gone := r.Context().Err() != nil && errors.Is(err, context.Canceled); {
		case gone:
		case p.Status == http.StatusServiceUnavailable:
			log.Warn("the api can't answer now", "request_id", r.Header.Get("X-Request-Id"), "err", err)
		case p.Status >= http.StatusInternalServerError:
			log.Error("the api could not answer", "request_id", r.Header.Get("X-Request-Id"), "err", err)
		}
	}
	h := w.Header()
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(int((p.RetryAfter+time.Second-1)/time.Second)))
	}
	if p.Status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Bearer") // RFC 9110, section 15.5.2
	}
	h.Set("Cache-Control", "no-store")
	h.Del("Etag")
	JSON(w, p.Status, failure{Error: wrong{p.Status, p.Name, p.Message, p.Details}})
}

type failure struct {
	Data  *struct{} `json:"data"` // null
	Error wrong     `json:"error"`
}

type wrong struct {
	Status  int    `json:"status"`
	Name    string `json:"name"`
	Message string `json:"message"`
	Details any    `json:"details,omitempty"`
}

// known is what an error that has a code is to a client, who learns nothing of how it came about.
func known(err error) *problem.Error {
	code := fault.CodeOf(err)
	if code == "" && errors.Is(err, context.DeadlineExceeded) {
		code = fault.Unavailable
	}
	p := &problem.Error{Status: code.Status(), Name: "InternalServerError"}
	switch code {
	case fault.Unauthorized:
		return problem.Unauthorized("Missing or invalid credentials")
	case fault.Forbidden:
		return problem.Forbidden()
	case fault.NotFound:
		return problem.NotFound()
	case fault.TooLarge:
		return problem.TooLarge()
	case fault.TooMany:
		return problem.TooMany(retryAfter)
	case fault.Invalid:
		p.Name = "BadRequestError"
	case fault.Conflict:
		p.Name = "ConflictError"
	case fault.Unavailable:
		p.Name, p.RetryAfter = "ServiceUnavailableError", retryAfter
	}
	p.Message = http.StatusText(p.Status)
	return p
}
