package local

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"time"
)

// wireError is how Lambda tells of an error of a function.
type wireError struct {
	Type    string `json:"errorType"`
	Message string `json:"errorMessage"`
}

// failure is why an invocation has no answer of the function's own, in Lambda's words.
type failure struct {
	kind    string
	message string
	plain   bool   // the message does not name the request
	raw     []byte // the function's own words, instead
}

func (f *failure) Error() string { return f.kind + ": " + f.message }

// payload is what who invoked gets.
func (f *failure) payload(id string) []byte {
	if f.raw != nil {
		return f.raw
	}
	message := f.message
	if !f.plain {
		message = "RequestId: " + id + " Error: " + message
	}
	text, err := json.Marshal(wireError{f.kind, message})
	if err != nil {
		return []byte("{}")
	}
	return text
}

func timedOut(limit time.Duration) *failure {
	return &failure{kind: "Sandbox.Timedout", message: fmt.Sprintf("Task timed out after %.2f seconds", limit.Seconds())}
}

func invalidEntrypoint(err error) *failure {
	return &failure{kind: "Runtime.InvalidEntrypoint", message: err.Error()}
}

func tooLarge() *failure {
	return &failure{kind: "Function.ResponseSizeTooLarge", plain: true, message: fmt.Sprintf("Response payload size exceeded maximum allowed payload size (%d bytes).", MaxPayload)}
}

// exited says how a process ended that should not have.
func exited(state *os.ProcessState) *failure {
	message := "Runtime exited without providing a reason"
	status, ok := state.Sys().(syscall.WaitStatus)
	switch {
	case ok && status.Signaled():
		message = "Runtime exited with error: signal: " + status.Signal().String()
	case ok && status.ExitStatus() != 0:
		message = fmt.Sprintf("Runtime exited with error: exit status %d", status.ExitStatus())
	}
	return &failure{kind: "Runtime.ExitError", message: message}
}
