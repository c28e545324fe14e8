package rows

import (
	"context"
	"testing"
	"time"

	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) { goleak.VerifyTestMain(engines.Around(m)) }

// patient is a context that gives a call the time that a busy machine takes.
func patient(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
