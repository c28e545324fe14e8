package signature

import (
	"bytes"
	"context"
	"testing"
)

// The ceilings are what an ack may cost beside its insert.
func TestVerifyingAllocatesLittle(t *testing.T) {
	for scheme, ceiling := range map[string]float64{"github": 0, "stripe": 4, "standard": 3} {
		s := sampleOf(t, scheme)
		got := testing.AllocsPerRun(200, func() {
			if _, err := s.v.Verify(context.Background(), s.r); err != nil {
				t.Fatal(err)
			}
		})
		if got > ceiling && !race {
			t.Errorf("%s: %v allocations, and the ceiling is %v", scheme, got, ceiling)
		}
	}
}

func sampleOf(t testing.TB, scheme string) sample {
	for _, s := range samples(t) {
		if s.v.source.Verify.Scheme == scheme {
			return s
		}
	}
	t.Fatal("no sample of", scheme)
	return sample{}
}

func BenchmarkVerify(b *testing.B) {
	for _, scheme := range []string{"github", "stripe", "standard"} {
		b.Run(scheme, func(b *testing.B) {
			s := sampleOf(b, scheme)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.v.Verify(context.Background(), s.r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("stripe 8 KiB", func(b *testing.B) {
		body := `{"id":"evt_1","type":"t","data":"` + string(bytes.Repeat([]byte("x"), 8<<10)) + `"}`
		v := verifier(b, scheme1("stripe", "s"), nil)
		r := post(body, "Stripe-Signature", "t=1800000000,v1="+macHex("s", "1800000000."+body))
		b.SetBytes(int64(len(body)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := v.Verify(context.Background(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
}
