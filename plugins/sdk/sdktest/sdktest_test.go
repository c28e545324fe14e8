package sdktest_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/plugins/sdk"
	"github.com/onehost/edge/plugins/sdk/fixture"
	"github.com/onehost/edge/plugins/sdk/sdktest"
)

// recorder is a test that keeps what is logged to it.
type recorder struct {
	testing.TB
	lines []string
}

func (r *recorder) Log(args ...any) {
	for _, a := range args {
		r.lines = append(r.lines, a.(string))
	}
}

func TestAHandlerRunsWithAWebhookFromAFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "event.json")
	if err := os.WriteFile(path, []byte(`{"source":"s","body":"hello"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	got := sdktest.Run(t, func(_ sdk.Context, d *sdk.Delivery) sdk.Result { return sdk.Skip(string(d.Body)) }, path)
	if got.Kind != sdk.KindSkip || got.Reason != "hello" {
		t.Error(got)
	}
}

func TestWhatAHandlerLogsIsInTheTestsLog(t *testing.T) {
	test := &recorder{TB: t}
	sdktest.New(test).Webhook(func(ctx sdk.Context, _ *sdk.Delivery) sdk.Result { ctx.Log().Info("hello", "n", 1); return sdk.OK() },
		fixture.Event{Source: "s", EventID: "e"})
	if want := "level=INFO msg=hello delivery=s-e source=s attempt=1 n=1"; !slices.Contains(test.lines, want) {
		t.Errorf("%q is not in %q", want, test.lines)
	}
}

func TestTheSameEventAgainIsTheNextAttempt(t *testing.T) {
	host, attempts := sdktest.New(t), ""
	handle := func(_ sdk.Context, d *sdk.Delivery) sdk.Result {
		attempts += d.ID + strings.Repeat("!", d.Attempt) + " "
		return sdk.OK()
	}
	for _, id := range []string{"a", "b", "a"} {
		host.Webhook(handle, fixture.Event{Source: "s", EventID: id})
	}
	if attempts != "s-a! s-b! s-a!! " {
		t.Error(attempts)
	}
}

func TestASyncSourcesAnswerIsThere(t *testing.T) {
	host := sdktest.New(t)
	host.Sync = true
	host.Put("greeting", []byte("hi"))
	got := host.Webhook(func(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
		entry, err := ctx.KV().Get("greeting")
		if err != nil || !d.Sync {
			return sdk.Fail("not what it was told")
		}
		return sdk.Reply(200, nil, entry.Value)
	}, fixture.Event{Source: "s", EventID: "e"})
	if got.Answer == nil || string(got.Answer.Body) != "hi" {
		t.Error(got)
	}
}
