package sdktest

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/onehost/edge/plugins/internal/proto"
	"github.com/onehost/edge/plugins/sdk"
)

const (
	maxKey   = 256
	maxValue = 64 << 10
	// remembered is how long a Once is, unless told otherwise.
	remembered = 30 * 24 * time.Hour
)

// Host is what edge is to a plugin, in memory. Handlers may use it at the same time. Set its fields before a handler runs.
type Host struct {
	Secrets map[string]string // what Context.Secret finds
	May     []string          // as in edge's configuration; New: mail
	Sync    bool              // whether the source waits for an answer
	API     http.Handler      // what Context.API asks; nil: there is none. May says whether a handler may

	t        testing.TB
	mu       sync.Mutex // of what follows
	now      time.Time
	version  int64
	values   map[string]value
	turns    map[string]turn
	mails    []sdk.Mail
	attempts map[string]int32
}

// value is what was put under a key.
type value struct {
	data    []byte
	version int64
	until   time.Time // zero: for ever
}

// turn is whose turn a Once is, or was.
type turn struct {
	number int64
	done   bool
	result []byte
	until  time.Time // of the claim, or of what was done
}

// New is a host that has nothing yet, whose plugin may send mail. Its clock begins with the real one and stands still but for Advance.
func New(t testing.TB) *Host {
	return &Host{
		t: t, May: []string{"mail"}, now: time.Now(),
		values: make(map[string]value), turns: make(map[string]turn), attempts: make(map[string]int32),
	}
}

// Now is the host's time.
func (h *Host) Now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now
}

// Advance moves the host's clock: values come to the end of their time, and claims.
func (h *Host) Advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.now = h.now.Add(d)
}

// Put puts value into the plugin's key-value store, for a handler to find.
func (h *Host) Put(key string, data []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.put(key, data, time.Time{})
}

// Get is the value that a handler has put under key; false: there is none.
func (h *Host) Get(key string) ([]byte, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	v, ok := h.value(key)
	return slices.Clone(v.data), ok
}

// Keys are the keys that have a value, sorted.
func (h *Host) Keys() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	var keys []string
	for key := range h.values {
		if _, ok := h.value(key); ok {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// Mails are the mails that were sent, in their order.
func (h *Host) Mails() []sdk.Mail {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.mails)
}

// Crash has the Once under key look as if a process had ended in the middle of it: until its time is over it is in progress, for ErrBusy.
func (h *Host) Crash(key string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.version++
	h.turns[key] = turn{number: h.version, until: h.now.Add(timeout)}
}

// context is an attempt's.
func (h *Host) context() (context.Context, context.CancelFunc) {
	return context.WithTimeout(h.t.Context(), timeout)
}

// attempt is the number of the next attempt at id.
func (h *Host) attempt(id string) int32 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attempts[id]++
	return h.attempts[id]
}

// value is what is under key now.
func (h *Host) value(key string) (value, bool) {
	v, ok := h.values[key]
	if !ok || !v.until.IsZero() && !h.now.Before(v.until) {
		return value{}, false
	}
	return v, true
}

// put puts, and is the new version.
func (h *Host) put(key string, data []byte, until time.Time) int64 {
	h.version++
	h.values[key] = value{data: slices.Clone(data), version: h.version, until: until}
	return h.version
}

// services is the host as the protocol has it.
func (h *Host) services() proto.HostClient { return services{h} }

// services answers the calls of proto.Host.
type services struct{ h *Host }

// checkKey refuses what is no key.
func checkKey(key string) error {
	if key == "" || len(key) > maxKey {
		return status.Errorf(codes.InvalidArgument, "a key has 1 to %d bytes", maxKey)
	}
	return nil
}

// checkValue refuses what is too much.
func checkValue(data []byte) error {
	if len(data) > maxValue {
		return status.Errorf(codes.InvalidArgument, "a value has %d bytes at most, this one has %d", maxValue, len(data))
	}
	return nil
}

// Get is what is under a key.
func (s services) Get(ctx context.Context, r *proto.GetRequest, _ ...grpc.CallOption) (*proto.GetResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	v, ok := s.h.value(r.GetKey())
	return &proto.GetResponse{Found: ok, Value: slices.Clone(v.data), Version: v.version}, nil
}

// Put puts.
func (s services) Put(ctx context.Context, r *proto.PutRequest, _ ...grpc.CallOption) (*proto.PutResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	if err := checkValue(r.GetValue()); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	if is, _ := s.h.value(r.GetKey()); r.IfVersion != nil && r.GetIfVersion() != is.version {
		return nil, status.Error(codes.Aborted, "the value has another version")
	}
	var until time.Time
	if r.GetKeep() != nil {
		until = s.h.now.Add(r.GetKeep().AsDuration())
	}
	return &proto.PutResponse{Version: s.h.put(r.GetKey(), r.GetValue(), until)}, nil
}

// Delete removes.
func (s services) Delete(ctx context.Context, r *proto.DeleteRequest, _ ...grpc.CallOption) (*proto.DeleteResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	delete(s.h.values, r.GetKey())
	return &proto.DeleteResponse{}, nil
}

// Begin says whose turn it is.
func (s services) Begin(ctx context.Context, r *proto.BeginRequest, _ ...grpc.CallOption) (*proto.BeginResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := checkKey(r.GetKey()); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	switch was, ok := s.h.turns[r.GetKey()]; {
	case ok && s.h.now.Before(was.until) && was.done:
		return &proto.BeginResponse{State: proto.BeginResponse_DONE, Result: was.result}, nil
	case ok && s.h.now.Before(was.until):
		return &proto.BeginResponse{State: proto.BeginResponse_BUSY}, nil
	}
	s.h.version++
	s.h.turns[r.GetKey()] = turn{number: s.h.version, until: s.h.now.Add(r.GetClaim().AsDuration())}
	return &proto.BeginResponse{State: proto.BeginResponse_BEGUN, Turn: s.h.version}, nil
}

// Finish ends a turn.
func (s services) Finish(ctx context.Context, r *proto.FinishRequest, _ ...grpc.CallOption) (*proto.FinishResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	if err := checkValue(r.GetResult()); err != nil {
		return nil, err
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	was, ok := s.h.turns[r.GetKey()]
	switch {
	case !ok || was.number != r.GetTurn() || was.done:
		return nil, status.Error(codes.Aborted, "it is another's turn since")
	case !r.GetDone():
		delete(s.h.turns, r.GetKey())
	default:
		keep := remembered
		if r.GetKeep() != nil {
			keep = r.GetKeep().AsDuration()
		}
		s.h.turns[r.GetKey()] = turn{number: was.number, done: true, result: slices.Clone(r.GetResult()), until: s.h.now.Add(keep)}
	}
	return &proto.FinishResponse{}, nil
}

// SendMail keeps the mail for Mails.
func (s services) SendMail(ctx context.Context, m *proto.Mail, _ ...grpc.CallOption) (*proto.SendMailResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	switch {
	case !slices.Contains(s.h.May, "mail"):
		return nil, status.Error(codes.PermissionDenied, "the plugin's configuration has no may: [mail]")
	case len(m.GetTo()) == 0:
		return nil, status.Error(codes.InvalidArgument, "the mail is to nobody")
	}
	s.h.mu.Lock()
	defer s.h.mu.Unlock()
	s.h.mails = append(s.h.mails, sdk.Mail{
		To: m.GetTo(), ReplyTo: m.GetReplyTo(), Subject: m.GetSubject(), Text: m.GetText(), HTML: m.GetHtml(), ID: m.GetId(),
	})
	return &proto.SendMailResponse{}, nil
}

// AskContent asks the handler that takes the place of the content API.
func (s services) AskContent(ctx context.Context, r *proto.ApiRequest, _ ...grpc.CallOption) (*proto.ApiResponse, error) {
	if err := ctx.Err(); err != nil {
		return nil, status.FromContextError(err).Err()
	}
	write := slices.Contains(s.h.May, "entries:write")
	read := write || slices.Contains(s.h.May, "entries:read")
	switch get := r.GetMethod() == http.MethodGet; {
	case get && !read, !get && !write:
		return nil, status.Error(codes.PermissionDenied, "the plugin's configuration has no may: [entries:read] or [entries:write]")
	case s.h.API == nil:
		return nil, status.Error(codes.Unavailable, "there is no content API: set Host.API")
	}
	answer := httptest.NewRecorder()
	request, err := http.NewRequestWithContext(ctx, r.GetMethod(), "http://edge"+r.GetPath(), bytes.NewReader(r.GetBody()))
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if r.GetIfMatch() != "" {
		request.Header.Set("If-Match", r.GetIfMatch())
	}
	s.h.API.ServeHTTP(answer, request)
	return &proto.ApiResponse{Status: int32(answer.Code), Body: answer.Body.Bytes(), Etag: answer.Header().Get("ETag")}, nil
}
