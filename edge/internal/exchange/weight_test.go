package exchange_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onehost/edge/edge/internal/exchange"
)

func TestWeighted(t *testing.T) {
	for list, want := range map[string]string{
		"gzip, br;q=0.5":           "gzip 1000, br 500",
		"gzip ; Q=0.001 ;x=y":      "gzip 1",
		"a;level=1;q=0.25,b;q=0":   "a 250, b 0",
		"a;q=1.000, b;q=1.":        "a 1000, b 1000",
		"a;q=2, b;q=x, c;q=, d;q":  "",
		"a;q=1.001, b;q=0.0001, c": "c 1000",
		"":                         " 1000",
	} {
		fields := exchange.Fields{{Name: "Other", Value: "no"}, {Name: "accept", Value: list}}
		var got []string
		for value, q := range fields.Weighted("Accept") {
			got = append(got, fmt.Sprint(value, " ", q))
		}
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("%q: %q, want %q", list, s, want)
		}
	}
	fields := exchange.Fields{{Name: "Accept", Value: "text/html;q=0.9, */*"}, {Name: "Accept", Value: "a/b"}}
	sum := 0
	if n := testing.AllocsPerRun(100, func() {
		for _, q := range fields.Weighted("accept") {
			sum += q
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
