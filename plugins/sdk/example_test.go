package sdk_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/onehost/edge/plugins/sdk"
)

// A whole plugin: one function that is given every webhook of the sources that name the plugin.
func ExampleServe() {
	handle := func(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
		if d.Header.Get("X-GitHub-Event") == "ping" {
			return sdk.Skip("a ping")
		}
		fmt.Println("safe: this goes to edge's log")
		ctx.Log().Info("received", "type", d.Type, "bytes", len(d.Body))
		return sdk.OK()
	}
	sdk.Serve(sdk.Webhook(handle)) // never returns
}

// A job is named in edge's configuration, with its schedule.
func ExampleJob() {
	reconcile := func(ctx sdk.Context, r *sdk.Run) sdk.Result {
		request, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.example.com/reconcile", nil)
		if err != nil {
			return sdk.Fail(err.Error())
		}
		answer, err := http.DefaultClient.Do(request) // ends with the attempt's time, for ctx does
		if err != nil {
			return sdk.Retry(time.Minute, err.Error())
		}
		defer answer.Body.Close()
		ctx.Log().Info("reconciled", "due", r.Due)
		return sdk.OK()
	}
	sdk.Serve(sdk.Job("reconcile", reconcile))
}

// What must not happen twice goes into Once, whose error is handed to From.
func ExampleContext_Once() {
	handle := func(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
		var invoice struct{ Number string }
		if err := d.JSON(&invoice); err != nil {
			return sdk.From(err)
		}
		return sdk.From(ctx.Once("receipt/"+d.EventID, func() error {
			return ctx.Mail(sdk.Mail{To: []string{"ops@example.com"}, Subject: "Paid: " + invoice.Number, ID: "receipt-" + d.EventID})
		}))
	}
	_ = sdk.Webhook(handle)
}

// Update counts without losing a count, however many handlers do at the same time.
func ExampleKV_Update() {
	count := func(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
		return sdk.From(ctx.KV().Update("count/"+d.Type, 0, func(old []byte) ([]byte, error) {
			n := 0
			if old != nil {
				if err := json.Unmarshal(old, &n); err != nil {
					return nil, err
				}
			}
			return json.Marshal(n + 1)
		}))
	}
	_ = sdk.Webhook(count)
}

// A source that waits is told what Reply says.
func ExampleReply() {
	result := sdk.Reply(http.StatusOK, http.Header{"Content-Type": {"application/json"}}, []byte(`{"text":"done"}`))
	fmt.Println(result)
	// Output: ok, answered 200
}

func ExampleFrom() {
	fmt.Println(sdk.From(nil))
	fmt.Println(sdk.From(fmt.Errorf("receipt: %w", sdk.ErrBusy)))
	fmt.Println(sdk.From(fmt.Errorf("%w: no address", sdk.ErrInvalid)))
	// Output:
	// ok
	// retry: receipt: in progress
	// fail: invalid: no address
}

func ExampleDelivery_JSON() {
	d := &sdk.Delivery{ID: "d1", Body: []byte(`{"ref":"refs/heads/main","more":"than asked for"}`)}
	var push struct{ Ref string }
	fmt.Println(d.JSON(&push), push.Ref)
	// Output: <nil> refs/heads/main
}
