package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
	"github.com/onehost/edge/deploy/lambda/internal/functiontest"
)

var shared mongodbtest.Shared

func TestMain(m *testing.M) { goleak.VerifyTestMain(shared.Around(m)) }

// house is a function with its environment, whose mails go to a folder.
type house struct {
	*function
	t     *testing.T
	env   map[string]string
	clock time.Time
	n     int
}

func both(t *testing.T, test func(t *testing.T, h *house)) {
	functiontest.Both(t, &shared, func(t *testing.T, variable, value string) {
		h := &house{t: t, clock: time.Now(), env: map[string]string{
			variable: value, "MAIL_FOLDER": t.TempDir(), "MAIL_FROM": "News <news@example.com>",
			"SUBSCRIBE_URL": "https://example.com/subscribe", "SUBSCRIBE_KEY": "0123456789abcdef0123456789abcdef",
		}}
		h.function = h.open()
		test(t, h)
	})
}

func (h *house) open() *function {
	h.t.Helper()
	f, err := open(h.t.Context(), func(name string) string { return h.env[name] }, slog.New(slog.DiscardHandler))
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() {
		if err := f.db.Close(context.Background()); err != nil {
			h.t.Error(err)
		}
	})
	f.now = func() time.Time { return h.clock }
	return f
}

type mailed struct {
	*mail.Message
	text string
}

func (m mailed) link(t *testing.T, purpose string) string {
	t.Helper()
	found := regexp.MustCompile(`https://\S+/` + purpose + `\?token=\S+`).FindString(m.text)
	if found == "" {
		t.Fatalf("no link to %s in:\n%s", purpose, m.text)
	}
	return found
}

func (h *house) mails() (all []mailed) {
	h.t.Helper()
	files, _ := filepath.Glob(filepath.Join(h.env["MAIL_FOLDER"], "*.eml"))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			h.t.Fatal(err)
		}
		defer f.Close()
		m, err := mail.ReadMessage(f)
		if err != nil {
			h.t.Fatal(err)
		}
		body := m.Body
		if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(body)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			h.t.Fatal(err)
		}
		all = append(all, mailed{m, string(text)})
	}
	return all
}

func (h *house) only() mailed {
	h.t.Helper()
	all := h.mails()
	if len(all) != 1 {
		h.t.Fatalf("there are %d mails, want 1", len(all))
	}
	return all[0]
}

func (h *house) forget() {
	files, _ := filepath.Glob(filepath.Join(h.env["MAIL_FOLDER"], "*"))
	for _, file := range files {
		os.Remove(file)
	}
}

// event is a request as API Gateway hands it.
func event(method, link string, form url.Values, submission string) []byte {
	u, _ := url.Parse(link)
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: u.Path, RawQueryString: u.RawQuery, Headers: map[string]string{}, QueryStringParameters: map[string]string{}}
	for name, values := range u.Query() {
		e.QueryStringParameters[name] = strings.Join(values, ",")
	}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.Path, e.RequestContext.HTTP.SourceIP = method, u.Path, "192.0.2.7"
	if form != nil {
		e.Headers["content-type"], e.IsBase64Encoded = "application/x-www-form-urlencoded", true
		e.Body = base64.StdEncoding.EncodeToString([]byte(form.Encode()))
	}
	if submission != "" {
		e.Headers["x-edge-submission"] = submission
	}
	raw, _ := json.Marshal(e)
	return raw
}

func (h *house) do(method, link string, form url.Values, submission string) events.APIGatewayV2HTTPResponse {
	h.t.Helper()
	answer, err := h.handle(h.t.Context(), event(method, link, form, submission))
	if err != nil {
		h.t.Fatal(err)
	}
	return answer.(events.APIGatewayV2HTTPResponse)
}

func (h *house) ask(address string) events.APIGatewayV2HTTPResponse {
	h.n++
	return h.do("POST", "/forms/subscribe", url.Values{"email": {address}, "name": {"BUY PILLS http://evil.example"}}, fmt.Sprint("submission ", h.n))
}

func (h *house) state(id string) string {
	h.t.Helper()
	var state string
	if h.db.Mongo != nil {
		var is struct{ State string }
		_ = h.db.Mongo.Collection("subscribers").FindOne(h.t.Context(), map[string]string{"_id": id}).Decode(&is)
		return is.State
	}
	_ = h.db.SQLite.QueryRowContext(h.t.Context(), "SELECT state FROM subscribers WHERE id = ?", id).Scan(&state)
	return state
}

func (h *house) wantState(id, want string) {
	h.t.Helper()
	if got := h.state(id); got != want {
		h.t.Errorf("%s is %q, want %q", id, got, want)
	}
}

func TestOnlyTheButtonSubscribes(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		if answer := h.ask("Ann@Example.org"); answer.StatusCode != 200 {
			t.Fatal(answer)
		}
		h.wantState("ann@example.org", pending)
		m := h.only()
		if m.Header.Get("To") != "<Ann@example.org>" && m.Header.Get("To") != "Ann@example.org" {
			t.Error("to", m.Header.Get("To"))
		}
		if strings.Contains(m.text+fmt.Sprint(m.Header), "PILLS") {
			t.Error("what the visitor wrote is in the mail")
		}
		link := m.link(t, purposeConfirm)
		for _, method := range []string{"GET", "HEAD"} {
			answer := h.do(method, link, nil, "")
			if answer.StatusCode != 200 || !strings.Contains(answer.Body, `<button name="confirm" value="yes">`) {
				t.Error(answer)
			}
			for name, want := range map[string]string{"referrer-policy": "no-referrer", "cache-control": "no-store"} {
				if answer.Headers[name] != want {
					t.Error(name, answer.Headers[name])
				}
			}
		}
		h.do("POST", link, nil, "")
		h.wantState("ann@example.org", pending)
		if answer := h.do("POST", link, url.Values{"confirm": {"yes"}}, ""); answer.StatusCode != 200 {
			t.Error(answer)
		}
		h.wantState("ann@example.org", confirmed)
	})
}

func TestUnsubscribingTakesOneButtonOrOneClick(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		h.ask("ann@example.org")
		m := h.only()
		h.do("POST", m.link(t, purposeConfirm), url.Values{"confirm": {"yes"}}, "")
		if m.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
			t.Error("List-Unsubscribe-Post:", m.Header.Get("List-Unsubscribe-Post"))
		}
		link := strings.Trim(m.Header.Get("List-Unsubscribe"), "<>")
		if link != m.link(t, purposeUnsubscribe) {
			t.Error("the header's link is", link)
		}
		if answer := h.do("GET", link, nil, ""); !strings.Contains(answer.Body, `<button name="List-Unsubscribe" value="One-Click">`) {
			t.Error(answer)
		}
		h.wantState("ann@example.org", confirmed)
		h.clock = h.clock.Add(time.Hour)
		if answer := h.do("POST", link, url.Values{"List-Unsubscribe": {"One-Click"}}, ""); answer.StatusCode != 200 {
			t.Error(answer)
		}
		h.wantState("ann@example.org", unsubscribed)
		if answer := h.do("POST", m.link(t, purposeConfirm), url.Values{"confirm": {"yes"}}, ""); answer.StatusCode != 410 {
			t.Error("the old link subscribes again:", answer.StatusCode)
		}
		h.wantState("ann@example.org", unsubscribed)
		h.forget()
		h.ask("ann@example.org")
		h.wantState("ann@example.org", unsubscribed)
		h.do("POST", h.only().link(t, purposeConfirm), url.Values{"confirm": {"yes"}}, "")
		h.wantState("ann@example.org", confirmed)
	})
}

func TestWhoIsPendingIsForgottenByUnsubscribing(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		h.ask("ann@example.org")
		m := h.only()
		h.do("POST", m.link(t, purposeUnsubscribe), url.Values{"List-Unsubscribe": {"One-Click"}}, "")
		h.wantState("ann@example.org", "")
		if answer := h.do("POST", m.link(t, purposeConfirm), url.Values{"confirm": {"yes"}}, ""); answer.StatusCode != 410 {
			t.Error(answer.StatusCode)
		}
	})
}

func TestLinksAreForOnePurposeAndExpire(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		h.ask("ann@example.org")
		m := h.only()
		confirm, unsubscribe := m.link(t, purposeConfirm), m.link(t, purposeUnsubscribe)
		swapped := strings.Replace(unsubscribe, "/"+purposeUnsubscribe, "/"+purposeConfirm, 1)
		for _, link := range []string{swapped, confirm[:len(confirm)-1], confirm + "A", strings.Replace(confirm, "token=", "token=A", 1), "/subscribe/confirm", "/subscribe/confirm?token=."} {
			if answer := h.do("POST", link, url.Values{"confirm": {"yes"}}, ""); answer.StatusCode != 400 {
				t.Errorf("%s: %d", link, answer.StatusCode)
			}
		}
		h.clock = h.clock.Add(confirmWithin)
		if answer := h.do("POST", confirm, url.Values{"confirm": {"yes"}}, ""); answer.StatusCode != 410 {
			t.Error("after two days:", answer.StatusCode)
		}
		h.wantState("ann@example.org", pending)
		h.clock = h.clock.AddDate(2, 0, 0)
		if answer := h.do("POST", unsubscribe, url.Values{"List-Unsubscribe": {"One-Click"}}, ""); answer.StatusCode != 200 {
			t.Error("unsubscribing after two years:", answer.StatusCode)
		}
	})
}

func TestNoAnswerSaysWhetherAnAddressIsKnown(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		unknown := h.ask("ann@example.org")
		again := h.ask("ann@example.org") // no mail
		h.do("POST", h.only().link(t, purposeConfirm), url.Values{"confirm": {"yes"}}, "")
		h.clock = h.clock.Add(time.Hour)
		h.forget()
		known := h.ask("ann@example.org")
		if fmt.Sprint(unknown) != fmt.Sprint(known) || fmt.Sprint(unknown) != fmt.Sprint(again) {
			t.Errorf("unknown: %v\nagain: %v\nknown: %v", unknown, again, known)
		}
		if m := h.only(); !strings.Contains(m.text, "subscribed already") || strings.Contains(m.text, "/confirm") {
			t.Error(m.text)
		}
		h.wantState("ann@example.org", confirmed)
	})
}

func TestAMailboxGetsFewMailsHoweverItIsWritten(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		for _, address := range []string{"ann.b@gmail.com", "ANN.B@gmail.com", "a.n.n.b@googlemail.com", "annb+x@gmail.com", "annb@GMAIL.com"} {
			h.ask(address)
		}
		if n := len(h.mails()); n != 1 {
			t.Errorf("%d mails at once", n)
		}
		for range 200 { // a day and more
			h.clock = h.clock.Add(10 * time.Minute)
			h.ask("annb+more@gmail.com")
		}
		if n := len(h.mails()); n < 4 || n > 6 {
			t.Errorf("%d mails in 33 hours", n)
		}
	})
}

func TestADayAndADomainHaveACap(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		h.clock = h.clock.Truncate(24 * time.Hour).Add(time.Hour)
		h.caps = caps{domain: 2, all: 3}
		var statuses []int
		for _, address := range []string{"a@one.example", "b@one.example", "c@one.example", "d@two.example", "e@three.example"} {
			statuses = append(statuses, h.ask(address).StatusCode)
		}
		if fmt.Sprint(statuses) != "[200 200 503 200 503]" || len(h.mails()) != 3 {
			t.Errorf("%v, %d mails", statuses, len(h.mails()))
		}
		h.clock = h.clock.Add(24 * time.Hour)
		if answer := h.do("POST", "/forms/subscribe", url.Values{"email": {"c@one.example"}}, "submission 3"); answer.StatusCode != 200 || len(h.mails()) != 4 {
			t.Errorf("the refused submission a day later: %d, %d mails", answer.StatusCode, len(h.mails()))
		}
	})
}

func TestASubmissionThatIsDeliveredAgainSendsNothing(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		for i := range 3 {
			if answer := h.do("POST", "/forms/subscribe", url.Values{"email": {"ann@example.org"}}, "the same"); answer.StatusCode != 200 {
				t.Error(answer)
			}
			if len(h.mails()) != map[bool]int{true: 1}[i == 0] { // a mail with the same id would take the first one's place in the folder
				t.Errorf("delivery %d: %d mails", i, len(h.mails()))
			}
			h.forget()
			h.clock = h.clock.Add(24 * time.Hour)
		}
	})
}

func TestAMailThatCanNotBeSentIsSentWhenItIsTriedAgain(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		folder := h.env["MAIL_FOLDER"]
		if err := os.Rename(folder, folder+"-away"); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(folder, nil, 0o600); err != nil { // no folder can be made there
			t.Fatal(err)
		}
		send := func() int {
			return h.do("POST", "/forms/subscribe", url.Values{"email": {"ann@example.org"}}, "the same").StatusCode
		}
		if status := send(); status != 503 {
			t.Error("without a folder:", status)
		}
		os.Remove(folder)
		if err := os.Rename(folder+"-away", folder); err != nil {
			t.Fatal(err)
		}
		if status := send(); status != 200 {
			t.Error(status)
		}
		h.only()
	})
}

func TestWhatIsNoAddressIsRefused(t *testing.T) {
	both(t, func(t *testing.T, h *house) {
		for _, address := range []string{"", "ann", "ann@example.org\r\nBcc: all@example.org", "ann@example.org,bob@example.org", "Ann <ann@example.org>", "ann@[127.0.0.1]", "ann@localhost", "\"a b\"@example.org"} {
			if answer := h.ask(address); answer.StatusCode != 422 {
				t.Errorf("%q: %d", address, answer.StatusCode)
			}
		}
		if n := len(h.mails()); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestOfFiftyAtOnceForOneMailboxOneMailIsSent(t *testing.T) {
	program := functiontest.Build(t)
	both(t, func(t *testing.T, h *house) {
		running := functiontest.Start(t, program, 5, h.env)
		var working sync.WaitGroup
		for i := range 50 {
			working.Go(func() {
				address := []string{"ann.b@gmail.com", "annb+x@gmail.com"}[i%2]
				payload, failure := running.Invoke(t, event("POST", "/forms/subscribe", url.Values{"email": {address}}, fmt.Sprint("parallel ", i)))
				var answer events.APIGatewayV2HTTPResponse
				if json.Unmarshal(payload, &answer) != nil || failure != nil || answer.StatusCode != 200 {
					t.Errorf("%s %+v", payload, failure)
				}
			})
		}
		working.Wait()
		h.only()
		if sent := strings.Count(running.Output(), "mail sent"); sent != 1 {
			t.Errorf("the processes sent %d mails", sent)
		}
	})
}

func TestFaultsOfSettingsAreToldAtInitWithoutTheirValues(t *testing.T) {
	program := functiontest.Build(t)
	running := functiontest.Start(t, program, 1, map[string]string{
		"SUBSCRIBE_KEY": "too-short-key", "SUBSCRIBE_URL": "http://public.example", "MAIL_SMTP": "smtp://user:hidden-word@host:x", "SQLITE_FILE": "a", "MONGODB_URI": "b",
	})
	_, failure := running.Invoke(t, []byte("{}"))
	if running.End(); failure == nil || !strings.Contains(running.Output(), "does not start") {
		t.Fatal("it starts, or does not log why not:", running.Output())
	}
	for _, name := range []string{"SUBSCRIBE_KEY", "SUBSCRIBE_URL", "MAIL_FROM", "MAIL_SMTP", "MONGODB_URI"} {
		if !strings.Contains(failure.Message, name) {
			t.Errorf("%s is not in: %s", name, failure.Message)
		}
	}
	for _, value := range []string{"too-short-key", "public.example", "hidden-word"} {
		if strings.Contains(failure.Message+running.Output(), value) {
			t.Errorf("%s is shown: %s", value, failure.Message)
		}
	}
}

func FuzzOnlyOurTokensAreRead(f *testing.F) {
	l := links{key: []byte("0123456789abcdef0123456789abcdef")}
	good := l.token(purposeConfirm, claim{Address: "ann@example.org", Expires: 10})
	f.Add(good)
	f.Add(l.token(purposeUnsubscribe, claim{Address: "ann@example.org"}))
	f.Add("e30.e30")
	f.Fuzz(func(t *testing.T, token string) {
		if _, err := l.read(purposeConfirm, token, time.Unix(1, 0)); err == nil && token != good {
			t.Errorf("%q is taken", token)
		}
	})
}
