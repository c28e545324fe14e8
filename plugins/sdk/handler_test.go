package sdk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/plugins/sdk"
	"github.com/onehost/edge/plugins/sdk/fixture"
	"github.com/onehost/edge/plugins/sdk/sdktest"
)

// event is a webhook that matters to no handler here.
func event() fixture.Event {
	return fixture.Event{Source: "s", EventID: "e1", Type: "t", Method: "POST", Path: "/s?a=b", Header: []fixture.Field{{Name: "x-gitHub-event", Value: "push"}}, Body: []byte(`{"a":1}`)}
}

// in runs fn as a handler and is its result.
func in(host *sdktest.Host, fn func(sdk.Context) sdk.Result) sdk.Result {
	return host.Webhook(func(ctx sdk.Context, _ *sdk.Delivery) sdk.Result { return fn(ctx) }, event())
}

func TestAHandlerSeesTheDeliveryAsItCame(t *testing.T) {
	host := sdktest.New(t)
	host.Secrets = map[string]string{"KEY": "v"}
	host.Webhook(func(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
		if d.Source != "s" || d.EventID != "e1" || d.Type != "t" || d.Path != "/s?a=b" || d.Attempt != 1 || string(d.Body) != `{"a":1}` || d.ID == "" {
			t.Errorf("got %+v", d)
		}
		if got := d.Header.Get("X-GITHUB-EVENT"); got != "push" {
			t.Errorf("header %q", got)
		}
		if !d.Received.Equal(host.Now()) {
			t.Errorf("received %v, not %v", d.Received, host.Now())
		}
		if ctx.Secret("KEY") != "v" || ctx.Secret("OTHER") != "" {
			t.Error("wrong secrets")
		}
		if _, ok := ctx.Deadline(); !ok {
			t.Error("there is no deadline")
		}
		return sdk.OK()
	}, event())
}

func TestResultsReachEdgeAsTheyAre(t *testing.T) {
	header := map[string][]string{"X-A": {"1", "2"}}
	for _, want := range []sdk.Result{
		sdk.OK(), sdk.Skip("why"), sdk.Fail("why"), sdk.Retry(0, "why"), sdk.Retry(time.Minute, "why"), sdk.Reply(0, nil, nil), sdk.Reply(201, header, []byte("b")),
	} {
		got := in(sdktest.New(t), func(sdk.Context) sdk.Result { return want })
		if got.String() != want.String() || got.Answer != nil && (string(got.Answer.Body) != string(want.Answer.Body) || len(got.Answer.Header["X-A"]) != len(want.Answer.Header["X-A"])) {
			t.Errorf("got %v, not %v", got, want)
		}
	}
}

func TestAForgottenResultIsARetryThatSaysSo(t *testing.T) {
	got := in(sdktest.New(t), func(sdk.Context) sdk.Result { return sdk.Result{} })
	if got.Kind != sdk.KindRetry || !strings.Contains(got.Reason, "returned no result") {
		t.Errorf("got %v", got)
	}
}

func TestAPanicIsARetryThatSaysSo(t *testing.T) {
	got := in(sdktest.New(t), func(sdk.Context) sdk.Result { panic("oh \xff no") })
	if got.Kind != sdk.KindRetry || got.Reason != "panic: oh \uFFFD no" {
		t.Errorf("got %v", got)
	}
}

func TestKeyValueTellsItsErrorsApart(t *testing.T) {
	got := in(sdktest.New(t), func(ctx sdk.Context) sdk.Result {
		kv := ctx.KV()
		is := func(what string, err, want error) {
			t.Helper()
			if !errors.Is(err, want) {
				t.Errorf("%s: got %v, not %v", what, err, want)
			}
		}
		_, err := kv.Get("k")
		is("nothing there", err, sdk.ErrNotFound)
		version, err := kv.Swap("k", []byte("1"), 0, 0)
		is("first", err, nil)
		_, err = kv.Swap("k", []byte("2"), 0, 0)
		is("not the first", err, sdk.ErrConflict)
		_, err = kv.Swap("k", []byte("2"), version, 0)
		is("as it was", err, nil)
		_, err = kv.Swap("k", []byte("3"), version, 0)
		is("changed since", err, sdk.ErrConflict)
		entry, err := kv.Get("k")
		is("there", err, nil)
		if string(entry.Value) != "2" {
			t.Errorf("got %q", entry.Value)
		}
		is("delete", kv.Delete("k"), nil)
		is("delete nothing", kv.Delete("k"), nil)
		is("no key", kv.Put("", nil, 0), sdk.ErrInvalid)
		is("long key", kv.Put(strings.Repeat("k", 257), nil, 0), sdk.ErrInvalid)
		is("a key that is no text", kv.Put("\xff", nil, 0), sdk.ErrInvalid)
		is("long value", kv.Put("k", make([]byte, 64<<10+1), 0), sdk.ErrInvalid)
		is("longest value", kv.Put("k", make([]byte, 64<<10), 0), nil)
		return sdk.OK()
	})
	if got.Kind != sdk.KindOK {
		t.Error(got)
	}
}

func TestAValueIsGoneAfterItsTime(t *testing.T) {
	host := sdktest.New(t)
	in(host, func(ctx sdk.Context) sdk.Result { return sdk.From(ctx.KV().Put("k", []byte("v"), time.Minute)) })
	host.Advance(time.Minute - 1)
	if v, ok := host.Get("k"); !ok || string(v) != "v" {
		t.Error("gone too early")
	}
	host.Advance(1)
	if _, ok := host.Get("k"); ok {
		t.Error("still there")
	}
}

func TestAnUpdateBeginsAnewWithWhatOthersHavePutMeanwhile(t *testing.T) {
	host := sdktest.New(t)
	var seen []string
	got := in(host, func(ctx sdk.Context) sdk.Result {
		return sdk.From(ctx.KV().Update("k", 0, func(old []byte) ([]byte, error) {
			seen = append(seen, string(old))
			if len(seen) <= 3 {
				host.Put("k", []byte("theirs"))
			}
			return append(old, " and ours"...), nil
		}))
	})
	if v, _ := host.Get("k"); got.Kind != sdk.KindOK || string(v) != "theirs and ours" || len(seen) != 4 {
		t.Errorf("got %v, %q, having seen %q", got, v, seen)
	}
}

func TestAnUpdateEndsWithTheAttemptsTime(t *testing.T) {
	host := sdktest.New(t)
	in(host, func(ctx sdk.Context) sdk.Result {
		ended, cancel := context.WithCancel(ctx)
		defer cancel()
		ctx.Context = ended
		err := ctx.KV().Update("k", 0, func([]byte) ([]byte, error) {
			host.Put("k", nil)
			cancel()
			return nil, nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		return sdk.OK()
	})
}

func TestAnUpdateThatFailsPutsNothing(t *testing.T) {
	host := sdktest.New(t)
	got := in(host, func(ctx sdk.Context) sdk.Result {
		return sdk.From(ctx.KV().Update("k", 0, func([]byte) ([]byte, error) { return []byte("x"), errors.New("no") }))
	})
	if got.Kind != sdk.KindRetry || len(host.Keys()) != 0 {
		t.Errorf("got %v, keys %v", got, host.Keys())
	}
}

func TestOnceIsDoneOnceAcrossAttempts(t *testing.T) {
	host, done := sdktest.New(t), 0
	once := func(fn func() error) sdk.Result {
		return in(host, func(ctx sdk.Context) sdk.Result { return sdk.From(ctx.Once("k", fn)) })
	}
	if got := once(func() error { done++; return errors.New("not yet") }); got.Reason != "not yet" {
		t.Error(got)
	}
	if got := once(func() error { done++; panic("in the middle") }); got.Kind != sdk.KindRetry {
		t.Error(got)
	}
	for range 3 {
		if got := once(func() error { done++; return nil }); got.Kind != sdk.KindOK {
			t.Error(got)
		}
	}
	if done != 3 { // it failed, it panicked, it worked
		t.Errorf("called %d times", done)
	}
}

func TestWhatIsInProgressElsewhereIsARetryUntilItsTimeIsOver(t *testing.T) {
	host, done := sdktest.New(t), 0
	attempt := func() sdk.Result {
		return in(host, func(ctx sdk.Context) sdk.Result {
			err := ctx.Once("k", func() error { done++; return nil })
			if err != nil && !errors.Is(err, sdk.ErrBusy) {
				t.Error(err)
			}
			return sdk.From(err)
		})
	}
	host.Crash("k")
	if got := attempt(); got.Kind != sdk.KindRetry || done != 0 {
		t.Errorf("%v, done %d times", got, done)
	}
	host.Advance(time.Hour)
	if got := attempt(); got.Kind != sdk.KindOK || done != 1 {
		t.Errorf("%v, done %d times", got, done)
	}
}

func TestOnceIsNotedThoughTheAttemptsTimeIsOver(t *testing.T) {
	host := sdktest.New(t)
	done := 0
	for range 2 {
		got := in(host, func(ctx sdk.Context) sdk.Result {
			short, cancel := context.WithCancel(ctx)
			defer cancel()
			ctx.Context = short
			return sdk.From(ctx.Once("k", func() error { cancel(); done++; return nil }))
		})
		if got.Kind != sdk.KindOK {
			t.Error(got)
		}
	}
	if done != 1 {
		t.Errorf("done %d times", done)
	}
}

func TestMailGoesOutAsAllowed(t *testing.T) {
	host := sdktest.New(t)
	mail := sdk.Mail{To: []string{"ops@example.com"}, ReplyTo: "a@example.com", Subject: "s", Text: "t", HTML: "<p>t", ID: "i"}
	send := func(m sdk.Mail) (err error) {
		in(host, func(ctx sdk.Context) sdk.Result { err = ctx.Mail(m); return sdk.From(err) })
		return err
	}
	if err := send(mail); err != nil {
		t.Fatal(err)
	}
	if got := host.Mails(); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(mail) {
		t.Errorf("got %+v", got)
	}
	if err := send(sdk.Mail{Subject: "to nobody"}); !errors.Is(err, sdk.ErrInvalid) {
		t.Error(err)
	}
	if err := send(sdk.Mail{To: mail.To, Text: strings.Repeat("x", 1<<20)}); !errors.Is(err, sdk.ErrInvalid) {
		t.Error(err)
	}
	host.May = nil
	if err := send(mail); !errors.Is(err, sdk.ErrDenied) {
		t.Error(err)
	}
}

func TestABodyIsOneJSONValue(t *testing.T) {
	for body, fine := range map[string]bool{
		`{"a":1,"b":2}`: true, " {\"a\":1}\r\n": true, `{"a":"1"}`: false, ``: false, `{"a":1`: false, `{"a":1}{}`: false, `{"a":1},`: false, `a=1`: false,
	} {
		var v struct{ A int }
		err := (&sdk.Delivery{ID: "d", Body: []byte(body)}).JSON(&v)
		if (err == nil) != fine || fine && v.A != 1 || !fine && !errors.Is(err, sdk.ErrInvalid) {
			t.Errorf("%q: %v, a=%d", body, err, v.A)
		}
	}
}

func FuzzJSON(f *testing.F) {
	f.Add([]byte(`{"a":[1,null,"x"]}`))
	f.Add([]byte("1 2"))
	f.Fuzz(func(t *testing.T, body []byte) {
		var v any
		err := (&sdk.Delivery{Body: body}).JSON(&v)
		if err != nil && !errors.Is(err, sdk.ErrInvalid) {
			t.Fatal(err)
		}
		if err == nil && len(bytes.TrimSpace(body)) == 0 {
			t.Fatal("nothing was taken for JSON")
		}
	})
}

func TestAJobIsGivenItsRun(t *testing.T) {
	due := time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)
	host := sdktest.New(t)
	for attempt := 1; attempt <= 2; attempt++ {
		got := host.Job("digest", func(_ sdk.Context, r *sdk.Run) sdk.Result {
			if r.Job != "digest" || !r.Due.Equal(due) || r.Attempt != attempt || r.ID == "" {
				t.Errorf("got %+v", r)
			}
			return sdk.OK()
		}, due)
		if got.Kind != sdk.KindOK {
			t.Error(got)
		}
	}
}
