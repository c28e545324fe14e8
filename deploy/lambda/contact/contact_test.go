package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"net/url"
	"os"
	"path/filepath"
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

// both runs a test with each of the databases.
func both(t *testing.T, test func(t *testing.T, f *function, env map[string]string)) {
	functiontest.Both(t, &shared, func(t *testing.T, variable, value string) {
		env := map[string]string{variable: value, "MAIL_FOLDER": t.TempDir(), "MAIL_FROM": "Site <site@example.com>", "CONTACT_TO": "info@example.com"}
		f, err := open(t.Context(), func(name string) string { return env[name] }, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := f.db.Close(context.Background()); err != nil {
				t.Error(err)
			}
		})
		test(t, f, env)
	})
}

func event(client, submission string, form url.Values) []byte {
	e := events.APIGatewayV2HTTPRequest{Version: "2.0", RawPath: "/forms/contact", Body: form.Encode(), Headers: map[string]string{"content-type": "application/x-www-form-urlencoded", "x-edge-submission": submission}}
	e.RequestContext.HTTP.Method, e.RequestContext.HTTP.SourceIP = "POST", client
	raw, _ := json.Marshal(e)
	return raw
}

func send(t *testing.T, f *function, client, submission string, form url.Values) int {
	t.Helper()
	answer, err := f.handle(t.Context(), event(client, submission, form))
	if err != nil {
		t.Fatal(err)
	}
	return answer.(events.APIGatewayV2HTTPResponse).StatusCode
}

type mailed struct{ to, replyTo, subject, text string }

func mails(t *testing.T, env map[string]string) (all []mailed) {
	t.Helper()
	files, _ := filepath.Glob(filepath.Join(env["MAIL_FOLDER"], "*.eml"))
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		m, err := mail.ReadMessage(f)
		if err != nil {
			t.Fatal(err)
		}
		body := m.Body
		if m.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(body)
		}
		text, _ := io.ReadAll(body)
		subject, _ := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		all = append(all, mailed{strings.Trim(m.Header.Get("To"), "<>"), strings.Trim(m.Header.Get("Reply-To"), "<>"), subject, strings.ReplaceAll(string(text), "\r\n", "\n")})
	}
	return all
}

// forget empties the folder, in which two mails of one id are one file.
func forget(env map[string]string) {
	files, _ := filepath.Glob(filepath.Join(env["MAIL_FOLDER"], "*.eml"))
	for _, file := range files {
		os.Remove(file)
	}
}

func TestAMessageIsSentOnceWithItsFields(t *testing.T) {
	both(t, func(t *testing.T, f *function, env map[string]string) {
		form := url.Values{
			"email": {"ann@example.org"}, "message": {"Hello,\r\nBcc: all@example.org\r\nbye\u202e"}, "na\r\nme": {"Ann"},
			"subject": {"Hi\r\nBcc: all@example.org " + strings.Repeat("ü", 200)},
		}
		var all []mailed
		for range 2 {
			if status := send(t, f, "192.0.2.1", "s1", form); status != 200 {
				t.Error(status)
			}
			all = append(all, mails(t, env)...)
			forget(env)
		}
		if len(all) != 1 {
			t.Fatalf("%d mails", len(all))
		}
		m := all[0]
		if m.to != "info@example.com" || m.replyTo != "ann@example.org" || !strings.HasPrefix(m.subject, "Contact: Hi Bcc: all@example.org ü") || len([]rune(m.subject)) > 120 {
			t.Errorf("%+v", m)
		}
		for _, want := range []string{"email: ann@example.org\n", "message: \n    Hello,\n    Bcc: all@example.org\n    bye\n", "na me: Ann\n", "192.0.2.1"} {
			if !strings.Contains(m.text, want) {
				t.Errorf("no %q in:\n%s", want, m.text)
			}
		}
	})
}

func TestSendersAndClientsHaveLimits(t *testing.T) {
	both(t, func(t *testing.T, f *function, env map[string]string) {
		now := time.Now()
		f.now = func() time.Time { return now }
		took := func(n int, client, address string) (ok int) {
			for i := range n {
				now = now.Add(time.Millisecond)
				if send(t, f, fmt.Sprintf(client, i), fresh(), url.Values{"email": {fmt.Sprintf(address, i)}, "message": {"x"}}) == 200 {
					ok++
				}
			}
			return ok
		}
		if ok := took(7, "192.0.2.%d", "ann+%d@example.org"); ok != 5 {
			t.Errorf("of one sender %d", ok)
		}
		if ok := took(22, "2001:db8::%d", "x%d@example.org"); ok != 20 {
			t.Errorf("of one client %d", ok)
		}
		now = now.Add(time.Hour)
		if ok := took(1, "192.0.2.%d", "ann+%d@example.org"); ok != 1 {
			t.Error("an hour later none")
		}
	})
}

var counter int

func fresh() string { counter++; return fmt.Sprint("submission ", counter) }

func TestAReceiptHasNothingOfTheVisitorAndIsLimited(t *testing.T) {
	both(t, func(t *testing.T, f *function, env map[string]string) {
		f.receipt = true
		for range 3 {
			send(t, f, "192.0.2.1", fresh(), url.Values{"email": {"ann@example.org"}, "name": {"PILLS"}, "subject": {"PILLS"}, "message": {"PILLS"}})
		}
		receipts := 0
		for _, m := range mails(t, env) {
			if m.to != "ann@example.org" {
				continue
			}
			if receipts++; strings.Contains(m.text+m.subject, "PILLS") {
				t.Errorf("%+v", m)
			}
		}
		if receipts != 1 || len(mails(t, env)) != 4 {
			t.Errorf("%d receipts, %d mails", receipts, len(mails(t, env)))
		}
	})
}

func TestWithoutAnAddressOrAMessageNothingIsSent(t *testing.T) {
	both(t, func(t *testing.T, f *function, env map[string]string) {
		for _, form := range []url.Values{{"message": {"x"}}, {"email": {"a@b.example\r\nBcc: c@d.example"}, "message": {"x"}}, {"email": {"a@b.example"}, "message": {" \n"}}} {
			if status := send(t, f, "192.0.2.1", fresh(), form); status != 422 {
				t.Errorf("%v: %d", form, status)
			}
		}
		if n := len(mails(t, env)); n != 0 {
			t.Errorf("%d mails", n)
		}
	})
}

func TestOfOneSubmissionDeliveredFiftyTimesAtOnceOneMailIsSent(t *testing.T) {
	program := functiontest.Build(t)
	both(t, func(t *testing.T, f *function, env map[string]string) {
		running := functiontest.Start(t, program, 5, env)
		var working sync.WaitGroup
		for range 50 {
			working.Go(func() {
				payload, failure := running.Invoke(t, event("192.0.2.1", "the same", url.Values{"email": {"ann@example.org"}, "message": {"x"}}))
				var answer events.APIGatewayV2HTTPResponse
				if json.Unmarshal(payload, &answer) != nil || failure != nil || answer.StatusCode != 200 && answer.StatusCode != 503 {
					t.Errorf("%s %+v", payload, failure)
				}
			})
		}
		working.Wait()
		if sent := strings.Count(running.Output(), "mail sent"); sent != 1 || len(mails(t, env)) != 1 { // two of one id are one file
			t.Errorf("the processes sent %d mails", sent)
		}
	})
}

func TestFaultsOfSettingsAreToldAtInit(t *testing.T) {
	running := functiontest.Start(t, functiontest.Build(t), 1, map[string]string{"CONTACT_TO": "info at example", "SQLITE_FILE": filepath.Join(t.TempDir(), "x.db")})
	_, failure := running.Invoke(t, []byte("{}"))
	if failure == nil {
		t.Fatal("it starts")
	}
	for _, name := range []string{"CONTACT_TO", "MAIL_FROM", "MAIL_SMTP"} {
		if !strings.Contains(failure.Message, name) {
			t.Errorf("%s is not in: %s", name, failure.Message)
		}
	}
}

func TestNothingThatAVisitorWritesIsTriedForEver(t *testing.T) {
	both(t, func(t *testing.T, f *function, _ map[string]string) {
		for name, form := range map[string]url.Values{
			"an address that looks encoded": {"email": {"=?a@example.com"}, "message": {"x"}},
			"a letter of empty lines":       {"email": {"ann@example.com"}, "message": {strings.Repeat("\n", 240<<10) + "a"}},
		} {
			if got := send(t, f, "192.0.2.1", name, form); got >= 500 {
				t.Errorf("%s: %d", name, got)
			}
		}
	})
}
