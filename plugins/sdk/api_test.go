package sdk_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/onehost/edge/plugins/sdk"
	"github.com/onehost/edge/plugins/sdk/sdktest"
)

// entries takes the place of the content API: it answers with what it was asked, or with an error whose status is the path.
func entries(w http.ResponseWriter, r *http.Request) {
	statuses := map[string]int{"/400": 400, "/401": 401, "/403": 403, "/404": 404, "/412": 412, "/413": 413, "/429": 429, "/500": 500}
	if status := statuses[r.URL.Path]; status != 0 {
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string]any{"data": nil, "error": map[string]any{"status": status, "name": "SomeError", "message": "no"}})
		return
	}
	if r.Method == http.MethodDelete {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	var body any
	_ = json.NewDecoder(r.Body).Decode(&body)
	_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"asked": r.Method + " " + r.URL.RequestURI(), "body": body}})
}

func TestEntriesAreAskedForAsOverHTTP(t *testing.T) {
	host := sdktest.New(t)
	host.May, host.API = []string{"entries:write"}, http.HandlerFunc(entries)
	type answer struct {
		Data struct {
			Asked string
			Body  map[string]any
		}
	}
	in(host, func(ctx sdk.Context) sdk.Result {
		var got answer
		if err := ctx.API().Get("/goals?sort=due", &got); err != nil || got.Data.Asked != "GET /goals?sort=due" {
			t.Errorf("%+v, %v", got, err)
		}
		if err := ctx.API().Put("/goals/a", map[string]any{"data": map[string]any{"n": 1}}, &got); err != nil || got.Data.Asked != "PUT /goals/a" || got.Data.Body["data"] == nil {
			t.Errorf("%+v, %v", got, err)
		}
		if err := ctx.API().Post("/goals", map[string]any{}, nil); err != nil {
			t.Error(err)
		}
		if err := ctx.API().Delete("/goals/a"); err != nil {
			t.Error(err)
		}
		if err := ctx.API().Post("/goals", make(chan int), nil); !errors.Is(err, sdk.ErrInvalid) {
			t.Error(err)
		}
		return sdk.OK()
	})
}

func TestTheAPIsRefusalsAreToldApart(t *testing.T) {
	host := sdktest.New(t)
	host.May, host.API = []string{"entries:read"}, http.HandlerFunc(entries)
	in(host, func(ctx sdk.Context) sdk.Result {
		for path, want := range map[string]error{
			"/400": sdk.ErrInvalid, "/401": sdk.ErrDenied, "/403": sdk.ErrDenied, "/404": sdk.ErrNotFound,
			"/412": sdk.ErrConflict, "/413": sdk.ErrInvalid, "/429": sdk.ErrUnavailable, "/500": sdk.ErrUnavailable,
		} {
			err := ctx.API().Get(path, nil)
			said, ok := errors.AsType[*sdk.APIError](err)
			if !errors.Is(err, want) || !ok || said.Name != "SomeError" || said.Message != "no" {
				t.Errorf("%s: %v", path, err)
			}
		}
		if err := ctx.API().Post("/goals", map[string]any{}, nil); !errors.Is(err, sdk.ErrDenied) {
			t.Error("who may read may write: ", err)
		}
		return sdk.OK()
	})
}
