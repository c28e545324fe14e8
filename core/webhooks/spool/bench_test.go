package spool

import (
	"context"
	"runtime"
	"testing"
)

// BenchmarkPut puts records of 2 KiB, from one and from 64 goroutines.
func BenchmarkPut(b *testing.B) {
	record := make([]byte, 2<<10)
	for name, writers := range map[string]int{"one": 1, "64": 64} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(b.TempDir(), quiet)
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			s.max = 1 << 40
			b.SetBytes(int64(len(record)))
			if writers == 1 {
				for b.Loop() {
					if err := s.Put(b.Context(), "a", record); err != nil {
						b.Fatal(err)
					}
				}
				return
			}
			b.SetParallelism(writers / runtime.GOMAXPROCS(0))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if err := s.Put(context.Background(), "a", record); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}
