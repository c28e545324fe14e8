package local

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

const (
	invokePrefix = "/2015-03-31/functions/"
	invokeSuffix = "/invocations"
)

// ServeHTTP is Lambda's Invoke for this function (https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html), for synchronous invocations.
func (f *Function) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	id := newID()
	w.Header().Set("X-Amzn-Requestid", id)
	name, ok := strings.CutPrefix(r.URL.Path, invokePrefix)
	name, whole := strings.CutSuffix(name, invokeSuffix)
	kind := r.Header.Get("X-Amz-Invocation-Type")
	switch {
	case !ok || !whole || name != f.spec.Name && name != f.arn():
		refuse(w, http.StatusNotFound, "ResourceNotFoundException", "User", "Function not found: "+arn(name))
		return
	case r.Method != http.MethodPost || kind != "" && kind != "RequestResponse":
		refuse(w, http.StatusBadRequest, "InvalidParameterValueException", "User", "a function of this host is invoked synchronously")
		return
	}
	event, err := readAll(r.Body, r.ContentLength)
	switch {
	case errors.Is(err, errTooLarge):
		refuse(w, http.StatusRequestEntityTooLarge, "RequestEntityTooLargeException", "User", fmt.Sprintf("Request must be smaller than %d bytes for the InvokeFunction operation", MaxPayload))
		return
	case err != nil:
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "User", "Could not read the request: "+err.Error())
		return
	case len(event) == 0:
		event = []byte("{}")
	case !json.Valid(event):
		refuse(w, http.StatusBadRequest, "InvalidRequestContentException", "User", "Could not parse request body into json")
		return
	}
	res, tail, err := f.invoke(r.Context(), id, event)
	if err != nil {
		f.unable(w, err)
		return
	}
	h := w.Header()
	h.Set("X-Amz-Executed-Version", "$LATEST")
	h.Set("Content-Type", "application/json")
	if res.failed {
		h.Set("X-Amz-Function-Error", "Unhandled")
	}
	if r.Header.Get("X-Amz-Log-Type") == "Tail" {
		h.Set("X-Amz-Log-Result", base64.StdEncoding.EncodeToString(tail))
	}
	_, _ = w.Write(res.payload) // who hung up does not need it
}

// unable answers an invocation that came to nothing, which is not the function's fault.
func (f *Function) unable(w http.ResponseWriter, err error) {
	if errors.Is(err, errBusy) {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("X-Amzn-Errortype", "TooManyRequestsException")
		writeJSON(w, http.StatusTooManyRequests, map[string]string{"Reason": "ReservedFunctionConcurrentInvocationLimitExceeded", "Type": "User", "message": "Rate Exceeded."})
		return
	}
	refuse(w, http.StatusInternalServerError, "ServiceException", "Service", err.Error())
}

func refuse(w http.ResponseWriter, status int, code, kind, message string) {
	w.Header().Set("X-Amzn-Errortype", code)
	writeJSON(w, status, map[string]string{"Type": kind, "Message": message})
}

// invoke has a process do an invocation. The error is errBusy, or that there was no time for it.
func (f *Function) invoke(ctx context.Context, id string, event []byte) (result, []byte, error) {
	pr, err := f.pool.acquire(ctx)
	if failed, ok := errors.AsType[*failure](err); ok {
		return result{failed.payload(id), true}, nil, nil
	}
	if err != nil {
		return result{}, nil, err
	}
	inv := &invocation{id: id, event: event, deadline: time.Now().Add(f.spec.Timeout), done: make(chan result, 1)}
	pr.give(inv)
	timer := time.NewTimer(f.spec.Timeout)
	defer timer.Stop()
	select {
	case res := <-inv.done:
		return res, pr.out.end(), nil
	case <-timer.C:
		pr.abort()
		return result{timedOut(f.spec.Timeout).payload(id), true}, pr.out.end(), nil
	case <-ctx.Done():
		pr.abort()
		return result{}, nil, ctx.Err()
	case <-pr.ended:
	}
	select {
	case res := <-inv.done: // it answered, and ended at once
		return res, pr.out.end(), nil
	default:
		return result{exited(pr.exit).payload(id), true}, pr.out.end(), nil
	}
}

// abort kills the process: it gets nothing any more from this moment on.
func (pr *process) abort() {
	pr.pool.mu.Lock()
	pr.state = ending
	pr.pool.mu.Unlock()
	pr.kill()
}

func (f *Function) arn() string { return arn(f.spec.Name) }

func arn(name string) string { return "arn:aws:lambda:" + Region + ":" + account + ":function:" + name }

// newID is a random UUID (RFC 9562), as Lambda's request ids are.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // it never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// traceID is a trace id of AWS X-Ray that says not to trace.
func traceID(id string, at time.Time) string {
	plain := strings.ReplaceAll(id, "-", "")
	return fmt.Sprintf("Root=1-%08x-%s;Parent=%s;Sampled=0", uint32(at.Unix()), plain[:24], plain[16:])
}
