package target

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func TestMetrics(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		network.set(b, nil)
		network.set(c, nil)
		app := g.one(group(a, b, c))
		pass(2 * time.Second)
		choose(t, app, Choice{}).Done(ConnectFailed)
		held := choose(t, app, Choice{})
		defer held.Done(Answered)
		must(t, g.Remove("app", a)) // draining beside a registered one of the same URL
		must(t, g.Add("app", a, 1))
		pass(0)
		choose(t, app, Choice{}).Done(Answered)
		must(t, g.Remove("app", b))
		pass(0)
		want := []string{
			"edge_target_connect_errors_total a 0", "edge_target_connect_errors_total c 0", "edge_target_healthy a 1", "edge_target_healthy c 0",
			"edge_target_in_flight a 0", "edge_target_in_flight c 0", "edge_target_requests_total a 1", "edge_target_requests_total c 0",
		}
		if got := gather(t, g); !slices.Equal(got, want) {
			t.Errorf("got  %q\nwant %q", got, want)
		}
	})
}

// gather returns every sample as "NAME TARGET VALUE".
func gather(t *testing.T, c prometheus.Collector) []string {
	t.Helper()
	r := prometheus.NewPedanticRegistry()
	must(t, r.Register(c))
	families, err := r.Gather()
	must(t, err)
	var got []string
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var target string
			for _, l := range m.GetLabel() {
				if l.GetName() == "target" {
					target = l.GetValue()[len("http://"):][:1]
				}
			}
			got = append(got, fmt.Sprintf("%s %s %v", f.GetName(), target, m.GetGauge().GetValue()+m.GetCounter().GetValue()))
		}
	}
	return got
}

func TestStatusAsJSON(t *testing.T) {
	bubble(t, func(t *testing.T, g *Groups, network *fakeNet) {
		network.set(a, answers(503))
		g.one(group(a))
		pass(time.Second)
		got, err := json.Marshal(g.Status())
		must(t, err)
		want := `[{"group":"app","algorithm":"round_robin","fail_open":true,"gone":false,"targets":[{"target":"http://a:80","state":"unhealthy",` +
			`"reason":"Target.ResponseCodeMismatch","description":"Health checks failed with these codes: [503]","since":"2000-01-01T00:00:01Z",` +
			`"in_flight":0,"weight":1,"effective_weight":1,"requests":0,"connect_errors":0,"last_check":"2000-01-01T00:00:01Z"}]}]`
		if string(got) != want {
			t.Errorf("got  %s\nwant %s", got, want)
		}
	})
}
