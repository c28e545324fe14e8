package exchange_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestTextStaysWhatItIsUntilTheExchangeEnds(t *testing.T) {
	var x exchange.Exchange
	x.LendText(make([]byte, 0, 64))
	var got, want []string
	for _, part := range []string{"a", "", "hello", strings.Repeat("long", 30), "z", strings.Repeat("longer", 1000), "end"} {
		b := []byte(part)
		got = append(got, x.Text(b))
		clear(b) // what was given is the caller's
		want = append(want, part)
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

func TestTextDoesNotAllocateInWhatWasLent(t *testing.T) {
	var x exchange.Exchange
	room, part := make([]byte, 0, 64), []byte("0123456789")
	n := testing.AllocsPerRun(100, func() {
		x.LendText(room)
		for range 6 {
			_ = x.Text(part)
		}
		x.LendText(nil)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
