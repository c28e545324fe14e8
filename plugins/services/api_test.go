package services

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc/codes"
)

// content is a content API of one function, which is told who asks.
type content func(plugin string, write bool, w http.ResponseWriter, r *http.Request)

func (c content) For(plugin string, write bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { c(plugin, write, w, r) })
}

func TestEntriesAreForThoseWhoMay(t *testing.T) {
	s := over(t, storetest.NewMemory())
	s.api = content(func(plugin string, write bool, w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("ETag", `"7"`)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, plugin, write, r.Method, r.URL.RequestURI(), r.Header.Get("Content-Type"), r.Header.Get("If-Match"), string(body))
	})
	get := &proto.ApiRequest{Method: "GET", Path: "/goals?filters[a][$eq]=1"}
	put := &proto.ApiRequest{Method: "PUT", Path: "/goals/x", Body: []byte("{}"), IfMatch: `"6"`}
	for _, c := range []struct {
		may   string
		asked *proto.ApiRequest
		code  codes.Code
		body  string
	}{
		{"mail", get, codes.PermissionDenied, ""},
		{"entries:read", get, codes.OK, "afalseGET/goals?filters[a][$eq]=1"},
		{"entries:read", put, codes.PermissionDenied, ""},
		{"entries:write", get, codes.OK, "atrueGET/goals?filters[a][$eq]=1"},
		{"entries:write", put, codes.OK, `atruePUT/goals/xapplication/json"6"{}`},
		{"entries:write", &proto.ApiRequest{Method: "GET", Path: "goals"}, codes.InvalidArgument, ""},
		{"entries:write", &proto.ApiRequest{Method: "G T", Path: "/goals"}, codes.InvalidArgument, ""},
		{"entries:write", &proto.ApiRequest{Method: "GET", Path: "/goals%zz"}, codes.InvalidArgument, ""},
	} {
		answer, err := called(t, s, "a", c.may).AskContent(t.Context(), c.asked)
		wantCode(t, err, c.code)
		if c.code == codes.OK && (string(answer.GetBody()) != c.body || answer.GetStatus() != 201 || answer.GetEtag() != `"7"`) {
			t.Errorf("%s: %v, want %s", c.may, answer, c.body)
		}
	}
}

func TestAnAnswerThatIsTooLongIsRefusedAndNotCut(t *testing.T) {
	s := over(t, storetest.NewMemory())
	s.api = content(func(_ string, _ bool, w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			fmt.Fprint(w, strings.Repeat("x", maxAnswer/2))
		}
	})
	_, err := called(t, s, "a", "entries:read").AskContent(t.Context(), &proto.ApiRequest{Method: "GET", Path: "/goals"})
	wantCode(t, err, codes.InvalidArgument)
}

func TestWithoutAContentAPIThereAreNoEntries(t *testing.T) {
	s := over(t, storetest.NewMemory())
	_, err := called(t, s, "a", "entries:read").AskContent(t.Context(), &proto.ApiRequest{Method: "GET", Path: "/goals"})
	wantCode(t, err, codes.Unavailable)
}
