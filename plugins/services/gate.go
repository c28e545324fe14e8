package services

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	storeWithin = 10 * time.Second
	mailWithin  = 75 * time.Second // mail waits for its turn, and is then sent: 30 s each
)

var errPanic = errors.New("panic")

// gate lets the calls of one process pass.
type gate struct {
	plugin string
	want   [sha256.Size]byte // of the metadata
	log    *slog.Logger
}

func newGate(plugin, token string, log *slog.Logger) *gate {
	return &gate{plugin, sha256.Sum256([]byte("Bearer " + token)), log}
}

// pass gives a call that shows the token a deadline, and turns its error into gRPC's. gRPC would let a panic end edge.
func (g *gate) pass(ctx context.Context, request any, info *grpc.UnaryServerInfo, handle grpc.UnaryHandler) (answer any, err error) {
	defer func() {
		if p := recover(); p != nil {
			g.log.Error("a plugin's call panicked", "plugin", g.plugin, "call", info.FullMethod, "panic", p, "stack", string(debug.Stack()))
			err = statusOf(errPanic)
		}
	}()
	if !g.shown(ctx) {
		return nil, statusOf(fmt.Errorf("the call has no token, or another process's: send the one of Start as metadata, authorization: Bearer TOKEN: %w", fault.Unauthorized))
	}
	within := storeWithin
	if info.FullMethod == proto.Host_SendMail_FullMethodName {
		within = mailWithin
	}
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	if answer, err = handle(ctx, request); err == nil {
		return answer, nil
	}
	said := statusOf(err)
	if status.Code(said) == codes.Internal {
		g.log.Error("a plugin's call failed", "plugin", g.plugin, "call", info.FullMethod, "err", err)
	}
	return nil, said
}

// shown reports whether a call has the token. Hashes are of one length, so that comparing takes the same time whatever is shown.
func (g *gate) shown(ctx context.Context) bool {
	values := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(values) != 1 {
		return false
	}
	got := sha256.Sum256([]byte(values[0]))
	return subtle.ConstantTimeCompare(got[:], g.want[:]) == 1
}

// statusOf is the one place that turns what went wrong into gRPC's codes. What has no code is edge's own failure: the plugin is told no more of it than that.
func statusOf(err error) error {
	code := codes.Internal
	switch fault.CodeOf(err) {
	case fault.Invalid, fault.TooLarge:
		code = codes.InvalidArgument
	case fault.Unauthorized:
		code = codes.Unauthenticated
	case fault.Forbidden:
		code = codes.PermissionDenied
	case fault.NotFound:
		code = codes.NotFound
	case fault.Conflict:
		code = codes.Aborted
	case fault.TooMany:
		code = codes.ResourceExhausted
	case fault.Unavailable:
		code = codes.Unavailable
	default:
		if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
			return status.FromContextError(err).Err()
		}
		return status.Error(code, "edge failed: its log says why")
	}
	return status.Error(code, strings.TrimSuffix(err.Error(), ": "+fault.CodeOf(err).Error())) // the code goes beside it
}
