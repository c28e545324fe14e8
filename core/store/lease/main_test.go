package lease

import (
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/enginetest"
	"go.uber.org/goleak"
)

var engines enginetest.Engines

func TestMain(m *testing.M) {
	asChild()
	goleak.VerifyTestMain(engines.Around(m))
}

// opened is the store of an address, ready, until the test ends.
func opened(t *testing.T, address string) store.Store {
	t.Helper()
	s := enginetest.Opened(t, address)
	ensured(t, s)
	return s
}

// onEveryStore runs a test on all stores that there are.
func onEveryStore(t *testing.T, test func(t *testing.T, s store.Store)) {
	t.Run("memory", func(t *testing.T) {
		t.Parallel()
		test(t, memory(t))
	})
	for name, address := range engines.Addresses() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, opened(t, address(t)))
		})
	}
}
