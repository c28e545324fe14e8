package submissions

import (
	"path/filepath"
	"testing"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/sqlite"
)

// typical is what a contact form sends.
func typical() Submission {
	sub := full()
	sub.ID, sub.Key, sub.Reasons, sub.Event = "", "", nil, make([]byte, 2000)
	return sub
}

func BenchmarkKeep(b *testing.B) {
	b.Run("document", func(b *testing.B) {
		b.ReportAllocs()
		sub := typical()
		for b.Loop() {
			d := encode(sub)
			if store.Size(d) > store.MaxDocument {
				b.Fatal("too large")
			}
		}
	})
	b.Run("sqlite", func(b *testing.B) {
		kept, err := sqlite.Open(b.Context(), filepath.Join(b.TempDir(), "edge.db"), quiet)
		if err != nil {
			b.Fatal(err)
		}
		defer kept.Close()
		s := on(kept, nil)
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if _, _, err := s.Keep(b.Context(), typical()); err != nil {
					b.Error(err)
				}
			}
		})
	})
}

// BenchmarkDecode is what a page of submissions costs for each.
func BenchmarkDecode(b *testing.B) {
	d, _, err := store.Normal(encode(full()))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if decode(d).ID == "" {
			b.Fatal("no id")
		}
	}
}
