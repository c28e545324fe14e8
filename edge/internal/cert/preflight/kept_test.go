package preflight

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

func TestAFailureWithAGoodCertificateSaysUntilWhenItLasts(t *testing.T) {
	ns := startDNS(t)
	cfg := oneHost(t, "a.example.com", "")
	begun := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	file := filepath.Join(cfg.DataDir, "certificates/certificates/some/a.example.com/a.example.com.crt")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, certPEM(t, certify(t, "a.example.com", begun, begun.AddDate(0, 0, 90))), 0o600); err != nil {
		t.Fatal(err)
	}
	spent := budget.New(filepath.Join(t.TempDir(), "budget"), slog.New(slog.NewTextHandler(t.Output(), nil)))
	for day, want := range map[int]string{
		10: "fail (fails the renewal due on 2026-03-02 00:00:00 UTC; the certificate lasts until 2026-04-01 00:00:00 UTC)",
		70: "fail (fails the renewal, which is due; the certificate lasts until 2026-04-01 00:00:00 UTC)",
		91: "fail no address for it",
	} {
		w := testWorld(ns)
		w.now = func() time.Time { return begun.AddDate(0, 0, day) }
		findings := newInspection(Options{Config: cfg, Budget: spent}, w).run(t.Context())
		expect(t, findings, "name", want)
		if lasts := strings.Contains(fmt.Sprint(findings), "lasts until"); lasts != (day < 90) {
			t.Errorf("on day %d: %+v", day, findings)
		}
	}
}

func TestABudgetThatIsThereAgainBeforeTheRenewalIsNoFailure(t *testing.T) {
	cfg := oneHost(t, "a.example.com", "")
	file := filepath.Join(cfg.DataDir, "certificates/certificates/some/a.example.com/a.example.com.crt")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		t.Fatal(err)
	}
	fresh := certPEM(t, certify(t, "a.example.com", time.Now(), time.Now().AddDate(0, 0, 90)))
	if err := os.WriteFile(file, fresh, 0o600); err != nil {
		t.Fatal(err)
	}
	spent := budget.New(filepath.Join(t.TempDir(), "budget"), slog.New(slog.NewTextHandler(t.Output(), nil)))
	issuer := cfg.IssuersOf(cfg.Hosts["a.example.com"])[0]
	for {
		order, err := spent.Order(budget.Issuer{Name: issuer.String(), Directory: issuer.DirectoryURL()}, "a.example.com", budget.Renewal)
		if err != nil {
			break
		}
		if err := order.Failed(1); err != nil {
			t.Fatal(err)
		}
	}
	findings := newInspection(Options{Config: cfg, Budget: spent}, testWorld(startDNS(t))).run(t.Context())
	expect(t, findings, "budget", "warn the renewal is due after that")
}
