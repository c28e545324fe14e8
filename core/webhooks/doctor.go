package webhooks

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/onehost/edge/core/fault"
)

const (
	diagnoses       = 5
	diagnoseTimeout = 10 * time.Second
)

// Report is what can be said of why a source's deliveries are refused.
type Report struct {
	Source    string            `json:"source"`
	Summary   string            `json:"summary"`
	Outcomes  map[string]uint64 `json:"outcomes"` // since the process started; those that came to pass
	Diagnoses []Diagnosis       `json:"diagnoses,omitempty"`
}

// Diagnosis is what can be said of one request that was refused.
type Diagnosis struct {
	Rejection
	Findings []string `json:"findings"` // sentences; at least one
}

// Doctor says why the latest requests of a source were refused, judged with the secrets that are configured now. Not_found: there is no such source.
func (h *Webhooks) Doctor(ctx context.Context, name string) (Report, error) {
	s := (*h.sources.Load())[name]
	if s == nil {
		return Report{}, fmt.Errorf("there is no source of webhooks named %q: %w", name, fault.NotFound)
	}
	ctx, cancel := context.WithTimeout(ctx, diagnoseTimeout)
	defer cancel()
	report := Report{Source: name, Outcomes: make(map[string]uint64)}
	for o := range Outcome(outcomes) {
		if n := s.counts[o].Load(); n > 0 {
			report.Outcomes[o.String()] = n
		}
	}
	latest := s.rejected.latest()
	report.Summary = s.summary(latest)
	for _, r := range latest[:min(len(latest), diagnoses)] {
		report.Diagnoses = append(report.Diagnoses, Diagnosis{Rejection: r.Rejection, Findings: s.diagnose(ctx, r)})
	}
	return report, nil
}

func (s *source) summary(latest []*rejected) string {
	good := s.counts[Kept].Load() + s.counts[Repeated].Load() + s.counts[Spooled].Load()
	refused := s.counts[Refused].Load()
	switch {
	case refused > 0 && len(latest) > 0:
		return fmt.Sprintf("%s refused since edge was started, the last one at %s, and %s taken.",
			counted(refused, "request"), latest[0].At.UTC().Format(time.RFC3339), counted(good, "delivery"))
	case good > 0:
		return fmt.Sprintf("Nothing was refused since edge was started, and %s taken.", counted(good, "delivery"))
	case s.counts[Handshaken].Load() > 0:
		return "Nothing was refused since edge was started. The source has looked whether this address is its own, and has sent no delivery yet."
	}
	return "Nothing has come since edge was started, so nothing was refused: see whether the source was given this address, and what it says of its last attempts."
}

// counted is "1 request was", "2 deliveries were", and so on.
func counted(n uint64, what string) string {
	if n == 1 {
		return "1 " + what + " was"
	}
	if stem, ok := strings.CutSuffix(what, "y"); ok {
		what = stem + "ie"
	}
	return fmt.Sprintf("%d %ss were", n, what)
}

func (s *source) diagnose(ctx context.Context, r *rejected) []string {
	if r.request == nil {
		return []string{fmt.Sprintf("It has %d bytes, too many to be kept for a closer look.", r.Bytes)}
	}
	if _, err := s.verifier.Verify(ctx, r.request); err == nil {
		return []string{"It would be taken as the source is configured now. Have the source send it again."}
	}
	if findings := s.verifier.Diagnose(ctx, r.request); len(findings) > 0 {
		return findings
	}
	return []string{"It is refused: " + r.Detail + "."}
}
