// Package sdktest runs a plugin's handlers in a Go test: no process, no edge, no network.
//
//	func TestAPushIsCounted(t *testing.T) {
//		edge := sdktest.New(t)
//		result := edge.Webhook(handle, sdktest.Load(t, "testdata/push.json"))
//		if result.Kind != sdk.KindOK {
//			t.Fatal(result)
//		}
//	}
//
// What the handler asks edge for, it gets from a Host that is in memory alone and keeps the real one's rules: limits of key-value, whose turn it is in Once, who
// may send mail. What it logs is in the test's log.
//
// In comes what a plugin author's tests need. What a webhook in a file looks like is in package fixture.
package sdktest

import (
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/onehost/edge/plugins/internal/proto"
	"github.com/onehost/edge/plugins/sdk"
	"github.com/onehost/edge/plugins/sdk/fixture"
)

// timeout is how long a handler may take here: edge's default.
const timeout = 30 * time.Second

// Load reads a webhook from a file that `edge webhooks export` has written, or that was written by hand; see package fixture.
func Load(t testing.TB, path string) fixture.Event {
	t.Helper()
	event, err := fixture.Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return event
}

// Run is New(t).Webhook(handle, Load(t, path)): what a handler makes of one webhook.
func Run(t testing.TB, handle func(sdk.Context, *sdk.Delivery) sdk.Result, path string) sdk.Result {
	t.Helper()
	return New(t).Webhook(handle, Load(t, path))
}

// Webhook has handle handle event once, as edge would: with a deadline of 30 seconds, and a panic taken for a Retry. The delivery's id is made of the source and
// the event's id, so the same event twice is a second attempt at the same delivery.
func (h *Host) Webhook(handle func(sdk.Context, *sdk.Delivery) sdk.Result, event fixture.Event) sdk.Result {
	h.t.Helper()
	d := &proto.Delivery{
		Id: event.Source + "-" + event.EventID, Source: event.Source, EventId: event.EventID, Type: event.Type,
		Received: timestamppb.New(event.Received), Method: event.Method, Path: event.Path, Body: event.Body, Sync: h.Sync,
	}
	if event.Received.IsZero() {
		d.Received = timestamppb.New(h.Now())
	}
	for _, f := range event.Header {
		d.Header = append(d.Header, &proto.Field{Name: f.Name, Value: f.Value})
	}
	d.Attempt = h.attempt(d.GetId())
	ctx, cancel := h.context()
	defer cancel()
	return h.result(h.start(sdk.Webhook(handle)).HandleWebhook(ctx, d))
}

// Job has run run the job name that was due at due.
func (h *Host) Job(name string, run func(sdk.Context, *sdk.Run) sdk.Result, due time.Time) sdk.Result {
	h.t.Helper()
	r := &proto.Run{Id: name + "-" + due.UTC().Format(time.RFC3339), Job: name, Due: timestamppb.New(due)}
	r.Attempt = h.attempt(r.GetId())
	ctx, cancel := h.context()
	defer cancel()
	return h.result(h.start(sdk.Job(name, run)).RunJob(ctx, r))
}

// start is the plugin that has what option says, started.
func (h *Host) start(option sdk.Option) proto.PluginServer {
	h.t.Helper()
	log := slog.New(slog.NewTextHandler(testLog{h.t}, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: untimed}))
	plugin, err := sdk.InProcess(log, h.services(), option)
	if err == nil {
		_, err = plugin.Start(h.t.Context(), &proto.StartRequest{Plugin: "test", Edge: "test", Secrets: h.Secrets, May: h.May})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	return plugin
}

// result is what edge was told, in the words of the SDK.
func (h *Host) result(out *proto.Outcome, err error) sdk.Result {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
	r := sdk.Result{Reason: out.GetReason(), After: out.GetAfter().AsDuration()}
	switch out.GetKind() {
	case proto.Outcome_OK:
		r.Kind = sdk.KindOK
	case proto.Outcome_SKIP:
		r.Kind = sdk.KindSkip
	case proto.Outcome_FAIL:
		r.Kind = sdk.KindFail
	default:
		r.Kind = sdk.KindRetry
	}
	if a := out.GetAnswer(); a != nil {
		r.Answer = &sdk.Answer{Status: int(a.GetStatus()), Header: make(http.Header), Body: a.GetBody()}
		for _, f := range a.GetHeader() {
			r.Answer.Header.Add(f.GetName(), f.GetValue())
		}
	}
	return r
}

// testLog writes lines to the test's log.
type testLog struct{ t testing.TB }

// Write writes a line.
func (l testLog) Write(p []byte) (int, error) {
	l.t.Log(strings.TrimSuffix(string(p), "\n"))
	return len(p), nil
}

// untimed leaves the time out of a line: a test says the same each time.
func untimed(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		return slog.Attr{}
	}
	return a
}
