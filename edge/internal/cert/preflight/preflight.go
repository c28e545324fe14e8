// Package preflight finds out why a name has no certificate, as far as that can be known from the host itself: what the
// configuration asks for, what the DNS says of the name and of who may issue, who answers on the ports that a CA
// knocks on, whether the CA can be reached, the clock, the storage, and what is left of the CA's rate budget.
//
// In comes what looks and changes nothing. It asks neither the running server nor any CA for a certificate.
package preflight

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/cert/budget"
)

// Timeout is how long a whole inspection may take. What is not known by then is reported as that.
const Timeout = 15 * time.Second

// atOnce is how many names are looked at at the same time.
const atOnce = 32

// A Result is what one check came to.
type Result string

// The results, from good to bad. Fail is what would prevent a certificate.
const (
	OK      Result = "ok"
	Unknown Result = "unknown"
	Warn    Result = "warn"
	Fail    Result = "fail"
)

// A Finding is what one check saw.
type Finding struct {
	Host   string `json:"host,omitempty"` // a host's name or an alias; "" if it is about this machine or a CA
	Check  string `json:"check"`          // configuration, name, address, port 80, port 443, zone, credentials, caa, certificate, budget, ca, account, clock, storage
	Result Result `json:"result"`
	Seen   string `json:"seen"`
	Do     string `json:"do,omitempty"` // what to do about it
}

// Options are what to look at.
type Options struct {
	Config *config.Config
	Names  []string       // hosts and aliases as the configuration has them; none: all that are served over TLS
	Budget *budget.Budget // of the CAs; nil: nothing is known of it
}

// Failed reports whether one of the findings would prevent a certificate.
func Failed(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Result == Fail })
}

// Run looks at everything. It takes Timeout at most. Findings about this machine come first, then those of each name in
// the order of Names.
func Run(ctx context.Context, o Options) []Finding {
	return newInspection(o, thisWorld()).run(ctx)
}

// An inspection is one Run.
type inspection struct {
	Options
	world
	subjects    []*subject
	authorities []*authority
	ownOnce     sync.Once
	own         addresses
	awsOnce     sync.Once
	awsErr      error // why there are no AWS credentials
}

// A subject is a name that is to have a certificate.
type subject struct {
	name    string
	known   bool // the configuration has it
	host    config.Host
	issuers []*authority // in order of preference; those that refuse such a name are not among them
	ways    []string     // challenges that one of the issuers may be given
}

func newInspection(o Options, w world) *inspection {
	in := &inspection{Options: o, world: w}
	owners := map[string]config.Host{}
	for name, host := range o.Config.Hosts {
		for _, n := range append([]string{name}, host.Aliases...) {
			owners[n] = host
		}
	}
	if len(in.Names) == 0 {
		for _, name := range slices.Sorted(maps.Keys(owners)) {
			if !owners[name].TLS.Off {
				in.Names = append(in.Names, name)
			}
		}
	}
	byIssuer := map[string]*authority{}
	for _, name := range in.Names {
		host, known := owners[name]
		if by := coveredBy(name, owners); !known && by != "" {
			name, host, known = by, owners[by], true
		}
		s := &subject{name: name, known: known, host: host}
		for _, issuer := range o.Config.IssuersOf(host) {
			if !known || o.Config.Refusal(issuer, name) != "" {
				continue
			}
			key := issuer.DirectoryURL() + "\n" + issuer.CA
			if byIssuer[key] == nil {
				byIssuer[key] = &authority{issuer: issuer, ready: make(chan struct{})}
				in.authorities = append(in.authorities, byIssuer[key])
			}
			s.issuers = append(s.issuers, byIssuer[key])
			for _, way := range o.Config.ChallengesOf(issuer, name) {
				if !slices.Contains(s.ways, way) {
					s.ways = append(s.ways, way)
				}
			}
		}
		in.subjects = append(in.subjects, s)
	}
	return in
}

// coveredBy returns the host under whose certificate another name is served, "" if there is none.
func coveredBy(name string, owners map[string]config.Host) string {
	_, parent, _ := strings.Cut(name, ".")
	for _, by := range []string{"*." + parent, "*"} {
		if _, ok := owners[by]; ok {
			return by
		}
	}
	return ""
}

func (in *inspection) run(ctx context.Context) []Finding {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	var all sync.WaitGroup
	for _, a := range in.authorities {
		all.Go(func() { in.visit(ctx, a) })
	}
	found := make([][]Finding, len(in.subjects))
	slots := make(chan struct{}, atOnce)
	for i, s := range in.subjects {
		all.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			found[i] = in.inspect(ctx, s)
		})
	}
	storage := in.storage()
	all.Wait()

	findings := []Finding{storage}
	for _, a := range in.authorities {
		if !a.acme() {
			continue
		}
		findings = append(findings, a.found)
		if f, there := in.account(a); there {
			findings = append(findings, f)
		}
	}
	findings = append(findings, in.clock())
	return append(findings, slices.Concat(found...)...)
}

// inspect looks at one name.
func (in *inspection) inspect(ctx context.Context, s *subject) []Finding {
	findings := []Finding{in.asked(s)}
	if !s.known || s.host.TLS.Off {
		return findings
	}
	if len(s.ways) > 0 {
		findings = append(findings, in.ways(ctx, s)...)
		findings = append(findings, in.caa(ctx, s))
	}
	findings = append(findings, in.certificate(s))
	findings = append(findings, in.budgets(s)...)
	leaf, _ := in.longest(s)
	for i, f := range findings {
		findings[i].Host = s.name
		if f.Result == Fail {
			findings[i].Seen += in.consequence(leaf)
		}
	}
	return findings
}
