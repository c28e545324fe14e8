// Command witness is a plugin for tests. It writes the event id of every delivery that it was given to the file RECORD, a line each, and does then what
// the body says.
package main

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/onehost/edge/plugins/sdk"
)

func main() {
	sdk.Serve(sdk.Webhook(handle))
}

func handle(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
	if err := record(d.EventID); err != nil {
		return sdk.Retry(0, err.Error())
	}
	switch body := string(d.Body); {
	case strings.Contains(body, "die"):
		os.Exit(3)
	case strings.Contains(body, "refuse"):
		return sdk.Fail("never")
	case strings.Contains(body, "linger"):
		time.Sleep(50 * time.Millisecond)
	case strings.Contains(body, "wait"):
		<-ctx.Done()
	case strings.Contains(body, "mail"):
		return sdk.From(ctx.Mail(sdk.Mail{To: []string{"ops@example.com"}, Subject: d.EventID, Text: body}))
	case strings.Contains(body, "entry"):
		return sdk.From(enter(ctx, d.EventID))
	case strings.Contains(body, "reply"):
		return sdk.Reply(http.StatusOK, http.Header{"Content-Type": {"text/plain"}}, []byte("pong "+d.EventID))
	}
	return sdk.OK()
}

// enter makes an entry, and one more that says how many there were then.
func enter(ctx sdk.Context, title string) error {
	if err := ctx.API().Post("/notes", map[string]any{"data": map[string]any{"title": title}}, nil); err != nil {
		return err
	}
	var all struct {
		Meta struct{ Pagination struct{ Total int } }
	}
	if err := ctx.API().Get("/notes", &all); err != nil {
		return err
	}
	return ctx.API().Post("/notes", map[string]any{"data": map[string]any{"title": fmt.Sprintf("after %d", all.Meta.Pagination.Total)}}, nil)
}

func record(id string) error {
	f, err := os.OpenFile(os.Getenv("RECORD"), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = f.WriteString(id + "\n")
	return err
}
