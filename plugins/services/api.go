package services

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/plugins/internal/proto"
)

// API is the content API as a plugin may use it: to read alone, or to change entries as well.
type API interface {
	For(plugin string, write bool) http.Handler
}

// AskContent asks the content API.
func (p *process) AskContent(ctx context.Context, r *proto.ApiRequest) (*proto.ApiResponse, error) {
	switch read := r.GetMethod() == http.MethodGet; {
	case !p.write && !(p.read && read):
		need := "entries:write"
		if read {
			need = "entries:read"
		}
		return nil, fmt.Errorf("the plugin %s may not do that with entries: its configuration needs may: [%s]: %w", p.plugin, need, fault.Forbidden)
	case p.services.api == nil:
		return nil, fmt.Errorf("edge's configuration has no content API: it needs api: %w", fault.Unavailable)
	case !strings.HasPrefix(r.GetPath(), "/"):
		return nil, fmt.Errorf("the path %.80q does not begin with /: %w", r.GetPath(), fault.Invalid)
	}
	request, err := http.NewRequestWithContext(ctx, r.GetMethod(), "http://plugin"+r.GetPath(), bytes.NewReader(r.GetBody()))
	if err != nil {
		return nil, fmt.Errorf("%.80s %.200q is no request: %w", r.GetMethod(), r.GetPath(), fault.Invalid)
	}
	if len(r.GetBody()) > 0 {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.GetIfMatch() != "" {
		request.Header.Set("If-Match", r.GetIfMatch())
	}
	answer := &answer{header: make(http.Header), status: http.StatusOK}
	p.services.api.For(p.plugin, p.write).ServeHTTP(answer, request)
	if answer.cut {
		return nil, fmt.Errorf("what %s %.200q answers has more than %d bytes: ask for fewer entries or fields: %w", r.GetMethod(), r.GetPath(), maxAnswer, fault.Invalid)
	}
	return &proto.ApiResponse{Status: int32(answer.status), Body: answer.body.Bytes(), Etag: answer.header.Get("ETag")}, nil
}

// maxAnswer leaves room in a message for what else is in it.
const maxAnswer = maxMessage - 4<<10

// answer is what a handler writes, kept.
type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	cut    bool // there was more than may be
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) { a.status = status }

func (a *answer) Write(b []byte) (int, error) {
	if a.body.Len()+len(b) > maxAnswer {
		a.cut = true
		return len(b), nil
	}
	return a.body.Write(b)
}
