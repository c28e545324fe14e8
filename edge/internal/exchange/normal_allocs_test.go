//go:build !race

package exchange

import "testing"

func TestNormalisingCostsOneAllocationAtMost(t *testing.T) {
	for _, host := range []string{"WWW.Example.com", "EXAMPLE.com.:8443", "[2001:DB8:0::1]:443"} {
		if n := testing.AllocsPerRun(100, func() {
			if _, ok := NormalHostname(host); !ok {
				t.Fatal(host)
			}
		}); n > 1 {
			t.Errorf("%s: %v allocations", host, n)
		}
	}
	for path, most := range map[string]float64{
		"/.well-known/acme-challenge/x": 0, "/%61dmin/%c3%a9t%c3%a9/": 1, "/a/b/../c": 1,
		"/%2e%2e/%61": 2, // dots that show only once they are decoded
	} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := NormalPath(path); err != nil {
				t.Fatal(path, err)
			}
		}); n > most {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
}
