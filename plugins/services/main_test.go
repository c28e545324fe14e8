package services

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var engines enginetest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

var quiet = slog.New(slog.DiscardHandler)

// mailer is a Mailer of one function.
type mailer func(ctx context.Context, m mail.Message) error

func (f mailer) Send(ctx context.Context, m mail.Message) error { return f(ctx, m) }

func over(t *testing.T, s store.Store) *Services {
	t.Helper()
	return New(Options{Folder: t.TempDir(), Store: s, Log: quiet})
}

// called is what a process of a plugin calls, with the token that it was told.
func called(t *testing.T, s *Services, plugin string, may ...string) proto.HostClient {
	t.Helper()
	target, token, stop, err := s.Serve(plugin, may, SameUser)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return dialled(t, target, token)
}

func dialled(t *testing.T, target, token string) proto.HostClient {
	t.Helper()
	show := func(ctx context.Context, method string, request, answer any, c *grpc.ClientConn, call grpc.UnaryInvoker, options ...grpc.CallOption) error {
		if token != "" {
			ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
		}
		ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
		defer cancel()
		return call(ctx, method, request, answer, c, options...)
	}
	c, err := grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUnaryInterceptor(show))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return proto.NewHostClient(c)
}

func wantCode(t *testing.T, err error, want codes.Code) {
	t.Helper()
	if got := status.Code(err); got != want {
		t.Errorf("%v is %v, and should be %v", err, got, want)
	}
}
