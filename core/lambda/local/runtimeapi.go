package local

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	runtimePath   = "/2018-06-01/runtime/"
	extensionPath = "/2020-01-01/extension/"
	errorType     = "Lambda-Runtime-Function-Error-Type"
	errorBody     = "Lambda-Runtime-Function-Error-Body"
)

// invocation is one event on its way through a process.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	done     chan result // of 1
}

// result is what a process made of an invocation.
type result struct {
	payload []byte
	failed  bool
}

// give has the process, which the caller got from acquire, do an invocation.
func (pr *process) give(inv *invocation) {
	pr.out.begin(inv.id)
	pr.pool.mu.Lock()
	pr.current = inv
	pr.pool.mu.Unlock()
	pr.work <- inv
}

// serve is the Runtime API for one process (https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html).
func (pr *process) serve(w http.ResponseWriter, r *http.Request) {
	switch path, ok := strings.CutPrefix(r.URL.Path, runtimePath); {
	case ok && path == "invocation/next" && r.Method == http.MethodGet:
		pr.serveNext(w, r)
	case ok && path == "init/error" && r.Method == http.MethodPost:
		pr.serveInitError(w, r)
	case ok && strings.HasPrefix(path, "invocation/") && r.Method == http.MethodPost:
		id, what, _ := strings.Cut(strings.TrimPrefix(path, "invocation/"), "/")
		if what != "response" && what != "error" {
			http.NotFound(w, r)
			return
		}
		pr.serveAnswer(w, r, id, what == "error")
	case r.URL.Path == extensionPath+"register" && r.Method == http.MethodPost:
		// aws-lambda-go registers so that it gets SIGTERM at the end, as all processes do here.
		w.Header().Set("Lambda-Extension-Identifier", newID())
		writeJSON(w, http.StatusOK, map[string]string{"functionName": pr.pool.f.spec.Name, "functionVersion": "$LATEST", "handler": "handler"})
	case r.URL.Path == extensionPath+"event/next" && r.Method == http.MethodGet:
		<-r.Context().Done() // there are no events but the end
	default:
		http.NotFound(w, r)
	}
}

// serveNext answers with the next invocation, when there is one.
func (pr *process) serveNext(w http.ResponseWriter, r *http.Request) {
	inv, err := pr.next(r.Context())
	if err != nil {
		writeJSON(w, http.StatusForbidden, wireError{"InvalidStateTransition", "State transition is not allowed"})
		return
	}
	if inv == nil {
		return // nobody listens any more
	}
	h := w.Header()
	h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
	h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
	h.Set("Lambda-Runtime-Invoked-Function-Arn", pr.pool.f.arn())
	h.Set("Lambda-Runtime-Trace-Id", traceID(inv.id, inv.deadline))
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(inv.event)))
	_, _ = w.Write(inv.event) // a process that does not read it is out of time, or has ended
}

var errTransition = errors.New("the process has an invocation that it did not answer")

// next waits for an invocation: nil when the process does not wait any more.
func (pr *process) next(ctx context.Context) (*invocation, error) {
	p := pr.pool
	p.mu.Lock()
	switch {
	case pr.state == starting:
		pr.state = busy // of who started it
		close(pr.ready)
	case pr.state == returning:
		p.free(pr)
	case pr.current != nil && len(pr.work) == 0:
		p.mu.Unlock()
		return nil, errTransition
	}
	p.mu.Unlock()
	select {
	case inv := <-pr.work:
		return inv, nil
	case <-ctx.Done():
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if pr.state == idle { // it hung up: nobody may have it before it asks again
		p.unlist(pr)
	}
	return nil, nil
}

// serveAnswer takes what became of an invocation.
func (pr *process) serveAnswer(w http.ResponseWriter, r *http.Request, id string, failed bool) {
	pr.pool.mu.Lock()
	inv := pr.current
	pr.pool.mu.Unlock()
	if inv == nil || inv.id != id {
		writeJSON(w, http.StatusBadRequest, wireError{"InvalidRequestID", "Invalid request ID"})
		return
	}
	payload, err := readAll(r.Body, r.ContentLength)
	status, said := http.StatusAccepted, any(map[string]string{"status": "OK"})
	switch {
	case errors.Is(err, errTooLarge):
		why := tooLarge()
		payload, failed = why.payload(id), true
		status, said = http.StatusRequestEntityTooLarge, wireError{"RequestEntityTooLarge", why.message}
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, MaxPayload)) // so that it reads the answer
	case err != nil:
		return // it ended in the middle
	case r.Trailer.Get(errorType) != "": // it failed while it was answering
		if body, err := base64.StdEncoding.DecodeString(r.Trailer.Get(errorBody)); err == nil {
			payload = body
		}
		failed = true
	}
	pr.finish(inv, result{payload, failed})
	writeJSON(w, status, said)
}

// finish hands a result to who waits for it.
func (pr *process) finish(inv *invocation, res result) {
	p := pr.pool
	p.mu.Lock()
	defer p.mu.Unlock()
	if pr.current != inv {
		return
	}
	pr.current = nil
	if pr.state == busy {
		pr.state, pr.since = returning, time.Now()
	}
	inv.done <- res
}

// serveInitError takes why a process can't do anything; it ends then.
func (pr *process) serveInitError(w http.ResponseWriter, r *http.Request) {
	payload, err := readAll(r.Body, r.ContentLength)
	if err != nil {
		return
	}
	p := pr.pool
	p.mu.Lock()
	if pr.state == starting {
		pr.initError = &failure{kind: r.Header.Get(errorType), raw: payload}
		p.end(pr)
	}
	p.mu.Unlock()
	writeJSON(w, http.StatusAccepted, map[string]string{"status": "OK"})
}

var errTooLarge = errors.New("more than 6 MB")

// readAll reads a payload, into memory of its length if that is known.
func readAll(body io.Reader, length int64) ([]byte, error) {
	if length > MaxPayload {
		return nil, errTooLarge
	}
	if length >= 0 {
		payload := make([]byte, length)
		_, err := io.ReadFull(body, payload)
		return payload, err
	}
	payload, err := io.ReadAll(io.LimitReader(body, MaxPayload+1))
	if err == nil && len(payload) > MaxPayload {
		err = errTooLarge
	}
	return payload, err
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	text, err := json.Marshal(body)
	if err != nil {
		status, text = http.StatusInternalServerError, []byte("{}")
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(text) // who hung up does not need it
}
