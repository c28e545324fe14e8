package lease

import (
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// onEveryStore runs a test on all stores that there are.
func onEveryStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		s := storetest.NewMemory()
		ensured(t, s)
		test(t, s)
	})
}
