package main

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// pair are two edges on one database.
func pair(t *testing.T, set *mongodbtest.Set, database string, replace ...string) (one, other *press) {
	t.Helper()
	where, uploads := mongodbtest.In(t, set.URI(), database), shortDir(t)
	one, other = newPress(t, where, uploads, replace...), newPress(t, where, uploads, replace...)
	one.run()
	other.run()
	for _, p := range []*press{one, other} {
		p.ready()
	}
	return one, other
}

// ready waits until the content API answers.
func (p *press) ready() {
	p.t.Helper()
	await(p.t, "the content API", func() bool {
		status, _, _ := asking(p.t, p.address, "", "GET", "/articles", jsonType, nil)
		return status == http.StatusOK
	})
}

// ask asks, and wants a status.
func (p *press) ask(status int, token, method, path, body string, fields ...string) map[string]any {
	p.t.Helper()
	got, said, _ := asking(p.t, p.address, token, method, path, jsonType, []byte(body), fields...)
	if got != status {
		p.t.Fatalf("%s %s: %d, want %d: %v", method, path, got, status, said)
	}
	return said
}

// login logs somebody in and returns the token.
func (p *press) login(name, password string) string {
	p.t.Helper()
	token, _ := p.ask(http.StatusOK, "", "POST", "/auth/local", `{"identifier": "`+name+`", "password": "`+password+`"}`)["jwt"].(string)
	return token
}

func TestTwoEdgesHaveTheSameContent(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	one, other := pair(t, set, "edge")
	full := one.token("full")
	t.Run("who is let in at one is let in at the other", func(t *testing.T) { one.letIn(other, full) })
	t.Run("who follows at one hears what happens at the other, and goes on there", func(t *testing.T) { one.followed(t, other, full) })
	t.Run("of many with the same unique value one is made", func(t *testing.T) { one.raced(t, other, full) })
	t.Run("those who change the same entry lose nothing", func(t *testing.T) { one.counted(t, other, full) })
	t.Run("what both write is whole, and no number is given twice", func(t *testing.T) {
		w := writing(t, 4, full, one.address, other.address)
		w.await(60)
		w.stop()
		w.users["ann"] = &piece{may: []string{"there"}}
		one.end()
		other.end()
		one.sweep()
		w.hold(one)
	})
}

// letIn has what is done to an account or a token at one be so at once at the other.
func (p *press) letIn(other *press, full string) {
	const refused, allowed = http.StatusUnauthorized, http.StatusOK
	other.ask(allowed, full, "GET", "/articles?status=draft", "")
	short := p.token("short")
	other.ask(allowed, short, "GET", "/articles", "")
	other.edge("tokens", "revoke", "short")
	p.ask(refused, short, "GET", "/articles", "")

	p.ask(allowed, "", "POST", "/auth/local/register", `{"username": "ann", "email": "ann@example.org", "password": "Secret123"}`)
	first, second := p.login("ann", "Secret123"), other.login("ann@example.org", "Secret123")
	for _, token := range []string{first, second} {
		p.ask(allowed, token, "GET", "/users/me", "")
		other.ask(allowed, token, "GET", "/users/me", "")
	}
	p.ask(allowed, first, "POST", "/auth/change-password", `{"currentPassword": "Secret123", "password": "Secret456", "passwordConfirmation": "Secret456"}`)
	for _, token := range []string{first, second} {
		other.ask(refused, token, "GET", "/users/me", "")
	}
	other.ask(http.StatusBadRequest, "", "POST", "/auth/local", `{"identifier": "ann", "password": "Secret123"}`)
	third := other.login("ann", "Secret456")
	p.ask(allowed, third, "POST", "/auth/logout", "")
	other.ask(refused, third, "GET", "/users/me", "")
	fourth := p.login("ann", "Secret456")
	other.edge("users", "block", "ann")
	p.ask(refused, fourth, "GET", "/users/me", "")
	p.edge("users", "unblock", "ann")
	other.ask(refused, fourth, "GET", "/users/me", "")
	fifth := other.login("ann", "Secret456")
	p.edge("tokens", "rotate-key")
	sixth := p.login("ann", "Secret456")
	for _, token := range []string{fifth, sixth} {
		other.ask(allowed, token, "GET", "/users/me", "")
	}
}

// follows opens a stream of events of articles, which begins after an id; "" is now. It returns lines that begin so, with what comes after.
func (p *press) follows(t *testing.T, token, after string) (next func(prefix string) string, end func()) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+p.address+"/api/realtime/articles?status=draft", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "api.test"
	request.Header.Set("Authorization", "Bearer "+token)
	if after != "" {
		request.Header.Set("Last-Event-ID", after)
	}
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	if answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	lines := bufio.NewScanner(answer.Body)
	watch := time.AfterFunc(20*time.Second, func() { answer.Body.Close() })
	return func(prefix string) string {
		for lines.Scan() {
			if rest, ok := strings.CutPrefix(lines.Text(), prefix); ok {
				return rest
			}
		}
		t.Fatal("the stream ends: ", lines.Err())
		return ""
	}, func() { watch.Stop(); answer.Body.Close() }
}

func (p *press) followed(t *testing.T, other *press, full string) {
	next, end := p.follows(t, full, "")
	next("id: ")
	var id, last string
	for n := range 5 {
		if id == "" {
			id = other.ask(http.StatusCreated, full, "POST", "/articles?status=draft", `{"data": {"title": "followed"}}`)["data"].(map[string]any)["documentId"].(string)
		} else {
			other.ask(http.StatusOK, full, "PUT", "/articles/"+id+"?status=draft", fmt.Sprintf(`{"data": {"n": %d}}`, n))
		}
		last = next("id: ")
		next("data: ")
	}
	end()
	for n := 5; n < 10; n++ {
		[]*press{p, other}[n%2].ask(http.StatusOK, full, "PUT", "/articles/"+id+"?status=draft", fmt.Sprintf(`{"data": {"n": %d}}`, n))
	}
	p.ask(http.StatusNoContent, full, "DELETE", "/articles/"+id, "")
	next, end = other.follows(t, full, last)
	defer end()
	events := 0
	for event := next("event: "); event != "delete"; event = next("event: ") {
		if event != "update" {
			t.Errorf("%s is heard", event)
		}
		events++
	}
	if events > 5 {
		t.Errorf("%d changes are heard, of 5 since", events)
	}
}

// raced has both make an article with the same title, many times at once.
func (p *press) raced(t *testing.T, other *press, full string) {
	var all sync.WaitGroup
	var made, refused atomic.Int64
	var id atomic.Value
	for n := range 16 {
		all.Go(func() {
			status, said, _ := asking(t, []*press{p, other}[n%2].address, full, "POST", "/articles", jsonType, []byte(`{"data": {"title": "raced", "n": 1}}`))
			switch {
			case status == http.StatusCreated:
				made.Add(1)
				id.Store(said["data"].(map[string]any)["documentId"])
			case status == http.StatusBadRequest && strings.Contains(fmt.Sprint(said), "must be unique"):
				refused.Add(1)
			default:
				t.Errorf("%d %v", status, said)
			}
		})
	}
	all.Wait()
	if made.Load() != 1 || refused.Load() != 15 {
		t.Fatalf("%d are made, %d refused", made.Load(), refused.Load())
	}
	p.ask(http.StatusNoContent, full, "DELETE", "/articles/"+id.Load().(string), "")
}

// counted has many count an article's number up at both, each only what they have read.
func (p *press) counted(t *testing.T, other *press, full string) {
	id := p.ask(http.StatusCreated, full, "POST", "/articles", `{"data": {"title": "counted", "n": 0}}`)["data"].(map[string]any)["documentId"].(string)
	const each = 10
	var all sync.WaitGroup
	for n := range 4 {
		all.Go(func() {
			at := []*press{p, other}[n%2].address
			for done := 0; done < each && t.Context().Err() == nil; {
				status, said, header := asking(t, at, full, "GET", "/articles/"+id, jsonType, nil)
				if status != http.StatusOK {
					t.Errorf("%d %v", status, said)
					return
				}
				now := said["data"].(map[string]any)["n"].(float64)
				status, said, _ = asking(t, at, full, "PUT", "/articles/"+id, jsonType, fmt.Appendf(nil, `{"data": {"n": %v}}`, now+1), "If-Match: "+header.Get("ETag"))
				switch status {
				case http.StatusOK:
					done++
				case http.StatusPreconditionFailed:
				default:
					t.Errorf("%d %v", status, said)
					return
				}
			}
		})
	}
	all.Wait()
	if n := p.ask(http.StatusOK, full, "GET", "/articles/"+id, "")["data"].(map[string]any)["n"]; n != 4.0*each {
		t.Errorf("it is %v, and was counted up %d times", n, 4*each)
	}
	other.ask(http.StatusNoContent, full, "DELETE", "/articles/"+id, "")
}

// TestContentSurvivesMongoDB kills mongod while many write: what is acknowledged is there, and meanwhile edge says when to come again.
func TestContentSurvivesMongoDB(t *testing.T) {
	t.Parallel()
	surviveContentMongoDB(t, 1, 2, 30)
}

func TestSoakContentSurvivesAReplicaSetOfThree(t *testing.T) {
	soaking(t)
	surviveContentMongoDB(t, 3, 12, 300)
}

func surviveContentMongoDB(t *testing.T, members, rounds, each int) {
	set := mongodbtest.Start(t, mongodbtest.Options{Members: members})
	one, other := pair(t, set, "edge")
	w := writing(t, 4, one.token("writer"), one.address, other.address)
	for range rounds {
		w.await(each)
		primary := set.Primary(t)
		primary.Kill(t)
		if members == 1 {
			w.awaitStatus(http.StatusServiceUnavailable)
		} else {
			w.await(each)
		}
		primary.Restart(t)
	}
	w.await(each)
	w.stop()
	one.end()
	other.end()
	one.sweep()
	w.hold(one)
}

// awaitStatus waits for another answer with a status.
func (w *writers) awaitStatus(status int) {
	w.t.Helper()
	count := func() int {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.tally[status]
	}
	first := count()
	awaitFor(w.t, time.Minute, fmt.Sprint("answers with ", status), func() bool { return count() > first })
}

// While one host is given newer content types, the other goes on with its own as long as that does no harm, and stops when it would.
func TestNewContentTypesArriveHostByHost(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	one, other := pair(t, set, "edge")
	full := one.token("full")
	id := one.ask(http.StatusCreated, full, "POST", "/articles", `{"data": {"title": "kept", "n": 7}}`)["data"].(map[string]any)["documentId"].(string)

	more := pressTypes["article.yaml"] + "  note: {type: text}\n"
	one.types("article.yaml", more)
	one.edge("reload")
	one.ask(http.StatusOK, full, "PUT", "/articles/"+id, `{"data": {"note": "of one"}}`)
	other.ask(http.StatusOK, full, "PUT", "/articles/"+id, `{"data": {"n": 8}}`)
	if note := one.ask(http.StatusOK, full, "GET", "/articles/"+id, "")["data"].(map[string]any)["note"]; note != "of one" {
		t.Errorf("a host that does not know the new attribute makes it %v", note)
	}
	other.types("article.yaml", more)
	other.edge("reload")

	w := writing(t, 2, full, other.address)
	w.await(5)
	w.retyped.Store(true)
	other.adopts(w, strings.Replace(more, "n: {type: integer}", "n: {type: string}", 1), one)
	w.await(5)
	w.stop()
	one.end()
	other.end()
	for _, row := range kept(t, one.opened(), "content-article") {
		if _, ok := row["n"].(string); !ok {
			t.Errorf("%s is %T %v", row.ID(), row["n"], row["n"])
		}
	}
}

// adopts has types be given to another host first, while writers write here.
func (p *press) adopts(w *writers, types string, first *press) {
	p.t.Helper()
	first.types("article.yaml", types)
	first.edge("reload")
	status, _, header := asking(p.t, p.address, w.token, "GET", "/articles", jsonType, nil)
	if status != http.StatusServiceUnavailable || header.Get("Retry-After") == "" {
		p.t.Errorf("a host whose types are older answers %d", status)
	}
	if said := p.edge("status"); !strings.Contains(said, "newer content types (article)") {
		p.t.Error(said)
	}
	if said := first.edge("status"); strings.Contains(said, "attention") {
		p.t.Error(said)
	}
	p.types("article.yaml", types)
	w.asText.Store(true)
	p.edge("reload")
	if said := p.edge("status"); strings.Contains(said, "attention") {
		p.t.Error(said)
	}
}
