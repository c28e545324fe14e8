package storetest

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/onehost/edge/core/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func memory() Engine {
	return Engine{
		Open: func(tb testing.TB) store.Store {
			m := NewMemory()
			tb.Cleanup(func() { m.Close() })
			return m
		},
		Forget: func(_ testing.TB, s store.Store, _ string) {
			s.(*Memory).SetClock(func() time.Time { return time.Now().Add(24 * time.Hour) })
		},
	}
}

func TestMemory(t *testing.T) { Run(t, memory()) }

func BenchmarkMemory(b *testing.B) { Benchmark(b, memory()) }
