//go:build !race

package main

import "testing"

// TestTheWholeWayDoesNotAllocate keeps the way of a request, from the bytes of a connection to a target and back with every
// limit, metric and log on, from allocating. Both ends of it live in this process, too. A few come from what is periodic: the
// log's writer, the guards, pools that a collection has emptied; and crypto/tls makes one for each read, on either end.
func TestTheWholeWayDoesNotAllocate(t *testing.T) {
	const rounds, few = 2000, 0.5
	for name, way := range map[string]struct {
		secure     bool
		path, body string
		want       float64
	}{
		"forward":           {false, "/app/articles/42?page=2", "", 0},
		"forward over TLS":  {true, "/app/articles/42?page=2", "", 2},
		"site":              {false, "/static/1k.bin", "", 0},
		"site over TLS":     {true, "/static/1k.bin", "", 2},
		"post, of its body": {false, "/app/articles", "title=hello", 1},
	} {
		v := visit(t, way.secure, way.path, way.body)
		for range 100 {
			v.ask()
		}
		n := testing.AllocsPerRun(1, func() {
			for range rounds {
				v.ask()
			}
		}) / rounds
		if n > way.want+few {
			t.Errorf("%s: %.2f allocations for an exchange, want %v", name, n, way.want)
		}
	}
}
