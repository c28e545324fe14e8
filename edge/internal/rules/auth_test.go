package rules_test

import (
	"context"
	"encoding/base64"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/edge/internal/exchange/exchangetest"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func basic(user, password string) exchangetest.Option {
	return exchangetest.Field("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(user+":"+password)))
}

func hash(t testing.TB, password string, cost int) string {
	h, err := bcrypt.GenerateFromPassword([]byte(password), cost)
	if err != nil {
		t.Fatal(err)
	}
	return string(h)
}

func TestBasicAuth(t *testing.T) {
	table := build(t, host(config.Host{Default: &config.Rule{Site: "app", Auth: &config.Auth{Basic: map[string]string{
		"plain": "pass:word", "hashed": hash(t, "sécret", bcrypt.MinCost),
	}}}}))
	for name, c := range map[string]struct {
		field exchangetest.Option
		want  int
	}{
		"plain":                        {basic("plain", "pass:word"), 200},
		"plain, wrong":                 {basic("plain", "pass:wor"), 401},
		"hashed":                       {basic("hashed", "sécret"), 200},
		"hashed, wrong":                {basic("hashed", "secret"), 401},
		"hashed, the hash itself":      {basic("hashed", hash(t, "sécret", bcrypt.MinCost)), 401},
		"unknown, password of another": {basic("x", "sécret"), 401},
		"unknown, plain of another":    {basic("x", "pass:word"), 401},
		"empty":                        {basic("", ""), 401},
		"scheme in lower case":         {exchangetest.Field("authorization", "basic cGxhaW46cGFzczp3b3Jk"), 200},
		"no base64":                    {exchangetest.Field("Authorization", "Basic !!!"), 401},
		"no colon":                     {exchangetest.Field("Authorization", "Basic cGxhaW4="), 401},
		"another scheme":               {exchangetest.Field("Authorization", "Bearer cGxhaW46cGFzczp3b3Jk"), 401},
		"none":                         {exchangetest.Field("X", "y"), 401},
	} {
		for range 2 { // the second time what passed is known
			r := serve(t, table, "GET", "/", c.field)
			if r.Status != c.want {
				t.Errorf("%s: %d, want %d", name, r.Status, c.want)
			}
			if challenge := r.Fields.Get("WWW-Authenticate"); c.want == 401 && challenge != `Basic realm="example.com", charset="UTF-8"` {
				t.Errorf("%s: %s", name, challenge)
			}
			if c.want == 200 && r.Fields.Get("Seen-Authorization")+r.Fields.Get("Seen-authorization") == "" {
				t.Errorf("%s: Authorization did not go on to the target", name)
			}
		}
	}
}

// What passed once is not checked against bcrypt again: at this cost a check takes a hundred times longer than what is allowed here.
func TestBcryptIsPaidOnce(t *testing.T) {
	table := build(t, host(config.Host{Default: &config.Rule{Site: "app", Auth: &config.Auth{Basic: map[string]string{"a": hash(t, "secret", 9)}}}}))
	start := time.Now()
	serve(t, table, "GET", "/", basic("a", "secret"))
	once := time.Since(start)
	start = time.Now()
	for range 20 {
		if r := serve(t, table, "GET", "/", basic("a", "secret")); r.Status != 200 {
			t.Fatal(r.Status)
		}
	}
	if again := time.Since(start); again > 5*once {
		t.Errorf("20 more took %v, the first %v", again, once)
	}
	if r := serve(t, table, "GET", "/", basic("a", "secrets")); r.Status != 401 {
		t.Errorf("a wrong password after a right one: %d", r.Status)
	}
}

// A flood of wrong passwords is answered, 401 or 503; nobody waits without end.
func TestFloodOfWrongPasswords(t *testing.T) {
	table := build(t, host(config.Host{Default: &config.Rule{Site: "app", Auth: &config.Auth{Basic: map[string]string{"a": hash(t, "secret", bcrypt.MinCost)}}}}))
	var all sync.WaitGroup
	var mu sync.Mutex
	count := map[int]int{}
	for range 200 {
		all.Go(func() {
			r := serve(t, table, "GET", "/", basic("a", "wrong"))
			mu.Lock()
			defer mu.Unlock()
			count[r.Status]++
			if r.Status == 503 && r.Fields.Get("Retry-After") == "" {
				t.Error("503 without Retry-After")
			}
		})
	}
	all.Wait()
	if count[401] == 0 || count[401]+count[503] != 200 {
		t.Errorf("answers by status: %v", count)
	}
}

func BenchmarkBasicAuthKnown(b *testing.B) {
	table := build(b, host(config.Host{Default: &config.Rule{Respond: respond(200, ""), Auth: &config.Auth{Basic: map[string]string{"a": hash(b, "secret", bcrypt.MinCost)}}}}))
	x, _ := exchangetest.New("GET", "/")
	request := x.Request
	rule := table.Host("example.com").Match(&request)
	b.ReportAllocs()
	for b.Loop() {
		x.Reset(withContext{})
		fields := x.Fields
		x.Request = request
		x.Fields = fields
		basic("a", "secret")(x)
		rule.Handler.ServeExchange(x)
	}
	if x.Response.Status != 200 {
		b.Fatal(x.Response.Status)
	}
}

type withContext struct{ discard }

func (withContext) Context() context.Context { return context.Background() }
