package route53

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/pypitest"
	"github.com/onehost/edge/edge/internal/cert/route53/route53test"
)

// account is one Route 53 for all tests: each has zones of its own.
var (
	account    *route53test.Server
	accountErr error
	zonesMade  atomic.Int32
)

func TestMain(m *testing.M) {
	account, accountErr = route53test.Run(context.Background())
	code := m.Run()
	if accountErr == nil {
		account.Close()
	}
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// theAccount returns the account, which the AWS SDK uses until the test ends.
func theAccount(t *testing.T) *route53test.Server {
	t.Helper()
	if accountErr != nil {
		pypitest.Missing(t, "Route 53", accountErr)
	}
	account.Setenv(t)
	return account
}

// zoneFor makes a public zone of the test's own.
func zoneFor(t *testing.T) (name, id string) {
	t.Helper()
	name = fmt.Sprintf("zone-%d.test", zonesMade.Add(1))
	return name, theAccount(t).CreateZone(t, name, false)
}

func newSolver(t *testing.T, o Options) *Solver {
	t.Helper()
	s, err := NewSolver(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	s.provider.changePause, s.provider.syncInterval = 5*time.Millisecond, 5*time.Millisecond
	t.Cleanup(s.provider.closeIdle)
	return s
}

// closeIdle ends connections that goleak would find.
func (p *Provider) closeIdle() {
	if c, ok := p.client.Options().HTTPClient.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

// challenge is one of a name; which tells apart those of the same name.
func challenge(name string, which any) acme.Challenge {
	return acme.Challenge{Type: acme.ChallengeTypeDNS01, Identifier: acme.Identifier{Type: "dns", Value: name}, KeyAuthorization: fmt.Sprint("key", which)}
}

func answers(name string, which ...any) (texts []string) {
	for _, w := range which {
		texts = append(texts, challenge(name, w).DNS01KeyAuthorization())
	}
	return texts
}

// refusing answers each call of an action with an error, up to times times (0 is always).
func refusing(method, path string, times int, status int, code, message string) func(http.ResponseWriter, *http.Request) bool {
	left := times
	return func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method != method || !strings.Contains(r.URL.Path, path) || times > 0 && left <= 0 {
			return false
		}
		left--
		route53test.Refuse(w, status, code, message)
		return true
	}
}
