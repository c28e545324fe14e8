package preflight

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/onehost/edge/edge/internal/cert/budget"
)

func TestWhatIsLeftOfTheBudget(t *testing.T) {
	ns := startDNS(t)
	cfg := oneHost(t, "a.example.com", "")
	spent := budget.New(filepath.Join(t.TempDir(), "budget"), slog.New(slog.NewTextHandler(t.Output(), nil)))
	look := func() []Finding {
		return newInspection(Options{Config: cfg, Budget: spent}, testWorld(ns)).run(t.Context())
	}
	expect(t, look(), "budget", "ok allows an order now")
	issuer := cfg.IssuersOf(cfg.Hosts["a.example.com"])[0]
	for {
		order, err := spent.Order(budget.Issuer{Name: issuer.String(), Directory: issuer.DirectoryURL()}, "a.example.com", budget.First)
		if err != nil {
			break
		}
		if err := order.Failed(1); err != nil {
			t.Fatal(err)
		}
	}
	findings := look()
	expect(t, findings, "budget", "fail and these are spent")
	if !Failed(findings) {
		t.Error("a spent budget prevents no certificate")
	}
}
