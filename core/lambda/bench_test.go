package lambda

import (
	"fmt"
	"strings"
	"testing"
)

// BenchmarkWarmInvocation is a function of this host that answers what it gets: SDK, Invoke API, Runtime API and the process.
func BenchmarkWarmInvocation(b *testing.B) {
	for _, size := range []int{100, 64 << 10, 4 << 20} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			w := running(b, here())
			event := []byte(`{"do":"echo","text":"` + strings.Repeat("x", size) + `"}`)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := w.Invoke(b.Context(), "f", event); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkColdStart has a process started for each invocation.
func BenchmarkColdStart(b *testing.B) {
	w := running(b, here())
	for b.Loop() {
		if _, err := w.Invoke(b.Context(), "f", []byte(`{"do":"exit"}`)); err == nil {
			b.Fatal("it did not end")
		}
	}
}
