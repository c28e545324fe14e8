package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const formsHosts = `
functions:
  record: {command: RECORDER, env: {RECORD: "RECORD"}, timeout: 2s}
forms:
  contact:
    function: record
    origins: ["https://a.test"]
    fields: {email: {type: email, required: true}, message: {required: true, min: 2}}
    limits: {rate: 1000/s, burst: 1000}
    redirect: /thanks
  direct: {function: record, sync: true, limits: {rate: 1000/s, burst: 1000}}
  open: {function: record, limits: {rate: 1000/s, burst: 1000}}
  few: {function: record, limits: {rate: 1/h, burst: 2, body: 1KiB}}
hosts:
  a.test:
    rules:
      - {path: /forms/*, forms: true}
      - {path: "/hook/{id}", method: [POST, GET], function: record}
    default: {respond: {body: page}}
`

func TestAFormReachesItsFunction(t *testing.T) {
	for _, protocol := range protocols {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			s := serveForms(t, formsHosts)
			client := s.client(protocol)
			answer := fetch(t, client, "POST", "https://a.test/forms/contact", "email=v%40example.org&message=h%C3%A9+you&_gotcha=",
				"Content-Type: application/x-www-form-urlencoded", "Origin: https://a.test")
			if answer.StatusCode != 303 || answer.Header.Get("Location") != "/thanks" {
				t.Fatalf("%d %v %s", answer.StatusCode, answer.Header, answer.text)
			}
			await(t, "the function is invoked", func() bool { return len(s.events(t)) == 1 })
			e := s.events(t)[0]
			if got := sent(t, e); got.Get("email") != "v@example.org" || got.Get("message") != "hé you" || got.Has("_gotcha") {
				t.Errorf("%v", got)
			}
			if e.Version != "2.0" || e.RawPath != "/forms/contact" || e.Headers["x-edge-submission"] == "" || e.RequestContext.HTTP.SourceIP != "127.0.0.1" || e.RequestContext.HTTP.Method != "POST" {
				t.Errorf("%+v", e)
			}
			await(t, "it is done", func() bool { return strings.Contains(s.edge(t, "forms"), "contact  0        1     0     0") })
		})
	}
}

func TestFormsAreAnsweredAsTheContractSays(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	client := s.client("h2")
	const urlencoded, good = "application/x-www-form-urlencoded", "email=v%40example.org&message=hello"
	for what, c := range map[string]struct {
		method, path, body string
		fields             []string
		status             int
		has                string
	}{
		"JSON":                      {"POST", "contact", `{"email":"v@example.org","message":"hello"}`, []string{"Content-Type: application/json", "Origin: https://a.test"}, 200, `"ok":true`},
		"accepting JSON":            {"POST", "contact", good, []string{"Content-Type: " + urlencoded, "Origin: https://a.test", "Accept: application/json"}, 200, `"id":"`},
		"multipart":                 {"POST", "contact", "--x\r\nContent-Disposition: form-data; name=email\r\n\r\nv@example.org\r\n--x\r\nContent-Disposition: form-data; name=message\r\n\r\nhello\r\n--x--\r\n", []string{"Content-Type: multipart/form-data; boundary=x", "Origin: https://a.test"}, 303, ""},
		"by Referer":                {"POST", "contact", good, []string{"Content-Type: " + urlencoded, "Referer: https://a.test/page"}, 303, ""},
		"foreign":                   {"POST", "contact", good, []string{"Content-Type: " + urlencoded, "Origin: https://evil.test"}, 403, ""},
		"foreign Referer":           {"POST", "contact", good, []string{"Content-Type: " + urlencoded, "Referer: https://evil.test/"}, 403, ""},
		"foreign JSON":              {"POST", "contact", `{}`, []string{"Content-Type: application/json", "Origin: null"}, 403, "application/problem+json"},
		"neither, a program":        {"POST", "contact", `{"email":"v@example.org","message":"hello"}`, []string{"Content-Type: application/json"}, 403, "token"},
		"neither, a browser":        {"POST", "contact", good, []string{"Content-Type: " + urlencoded, "Accept: text/html"}, 200, `name="_token"`},
		"invalid":                   {"POST", "contact", `{"email":"no address","message":"x"}`, []string{"Content-Type: application/json", "Origin: https://a.test"}, 422, `"field":"email"`},
		"invalid, for people":       {"POST", "contact", "email=no&message=hello", []string{"Content-Type: " + urlencoded, "Origin: https://a.test", "Accept: text/html"}, 422, `aria-invalid="true"`},
		"GET":                       {"GET", "contact", "", nil, 405, ""},
		"unknown":                   {"POST", "nothing", good, []string{"Content-Type: " + urlencoded}, 404, ""},
		"too large":                 {"POST", "few", "a=" + strings.Repeat("a", 2000), []string{"Content-Type: " + urlencoded}, 413, ""},
		"no form":                   {"POST", "open", "<a/>", []string{"Content-Type: text/xml"}, 415, ""},
		"token":                     {"GET", "contact/token", "", []string{"Origin: https://a.test"}, 200, `"token":"`},
		"the function's own answer": {"POST", "direct?do=json", "a=b", []string{"Content-Type: " + urlencoded}, 200, `{"any":[1,2]}`},
		"the function's status":     {"POST", "direct", "a=b", []string{"Content-Type: " + urlencoded}, 201, "done"},
		"the function fails":        {"POST", "direct?do=fail", "a=b", []string{"Content-Type: " + urlencoded}, 502, ""},
		"the function exits":        {"POST", "direct?do=exit", "a=b", []string{"Content-Type: " + urlencoded}, 502, ""},
		"the function hangs":        {"POST", "direct?do=hang", "a=b", []string{"Content-Type: " + urlencoded}, 504, ""},
	} {
		t.Run(what, func(t *testing.T) {
			answer := fetch(t, client, c.method, "https://a.test/forms/"+c.path, c.body, c.fields...)
			all := answer.text + answer.Header.Get("Content-Type")
			if answer.StatusCode != c.status || !strings.Contains(all, c.has) || strings.Contains(all, storeSecret) {
				t.Errorf("%d %v %s", answer.StatusCode, answer.Header, answer.text)
			}
		})
	}
}

func TestFormsHaveLimitsOfTheirOwn(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	client := s.client("h1")
	post := func(form string) fetched {
		return fetch(t, client, "POST", "https://a.test/forms/"+form, "a="+form, "Content-Type: application/x-www-form-urlencoded")
	}
	for range 2 {
		if got := post("few"); got.StatusCode != 303 {
			t.Fatal(got.StatusCode, got.text)
		}
	}
	got := post("few")
	if after, err := strconv.Atoi(got.Header.Get("Retry-After")); got.StatusCode != 429 || err != nil || after < 60 {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	if got := post("open"); got.StatusCode != 303 {
		t.Errorf("another form: %d", got.StatusCode)
	}
}

func TestAnyPathToAnyFunction(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	got := fetch(t, s.client("h2"), "POST", "https://a.test/hook/caf%C3%A9?a=1&b=2&a=3", `{"x":1}`, "Content-Type: application/json", "Cookie: s=1; t=2", "X-M: 1", "X-M: 2", "X-Edge-Submission: forged")
	if got.StatusCode != 201 || got.text != "done\n" || got.Header.Get("X-Route") != "ANY /hook/{id}" || len(got.Header.Values("Set-Cookie")) != 2 {
		t.Fatalf("%d %v %s", got.StatusCode, got.Header, got.text)
	}
	e := s.events(t)[0]
	if _, forged := e.Headers["x-edge-submission"]; forged {
		t.Error("a visitor names a submission")
	}
	if e.PathParameters["id"] != "café" || e.QueryStringParameters["a"] != "1,3" || fmt.Sprint(e.Cookies) != "[s=1 t=2]" || e.Headers["x-m"] != "1,2" || e.Body != `{"x":1}` || e.IsBase64Encoded ||
		e.RequestContext.RequestID != got.Header.Get("X-Request-Id") || e.RequestContext.DomainName != "a.test" {
		t.Errorf("%+v", e)
	}
	if got := fetch(t, s.client("h1"), "GET", "https://a.test/hook/1?do=fail", ""); got.StatusCode != 502 || strings.Contains(got.text, storeSecret) {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	s.log.wait(t, 1, "record", "a secret of the function's")
	if got := s.edge(t, "functions"); !strings.Contains(got, "record") || !strings.Contains(got, "a secret of the function's") {
		t.Error(got)
	}
}

func TestWhatAFormTookIsReviewed(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	client := s.client("h2")
	post := func(body string) {
		if got := fetch(t, client, "POST", "https://a.test/forms/open", body, "Content-Type: application/x-www-form-urlencoded"); got.StatusCode != 303 {
			t.Fatal(got.StatusCode, got.text)
		}
	}
	post("name=Ann&note=%3D1%2B1")
	post("name=Bot&_gotcha=x")
	await(t, "one is delivered", func() bool { return len(s.events(t)) == 1 })
	list := func(state string) []struct{ ID string } {
		var found []struct{ ID string }
		if err := json.Unmarshal([]byte(s.edge(t, "forms", "list", "open", "--state", state, "--json")), &found); err != nil {
			t.Fatal(err)
		}
		return found
	}
	spam := list("spam")
	if len(spam) != 1 {
		t.Fatal(spam)
	}
	if shown := s.edge(t, "forms", "show", spam[0].ID); !strings.Contains(shown, "field name  Bot") {
		t.Error(shown)
	}
	s.edge(t, "forms", "ham", spam[0].ID)
	await(t, "ham is delivered", func() bool { return len(s.events(t)) == 2 })
	await(t, "both are done", func() bool { return len(list("done")) == 2 })
	s.edge(t, "forms", "resend", spam[0].ID)
	await(t, "it is delivered again", func() bool { return len(s.events(t)) == 3 })
	first, again := s.events(t)[1], s.events(t)[2]
	if first.Headers["x-edge-submission"] != spam[0].ID || again.Headers["x-edge-submission"] != spam[0].ID {
		t.Error("the function can't see that it is the same submission")
	}
	rows, err := csv.NewReader(strings.NewReader(s.edge(t, "forms", "export", "open"))).ReadAll()
	if err != nil || len(rows) != 3 || !slices.Equal(rows[0], []string{"id", "sent", "state", "name", "note"}) || rows[2][4] != "'=1+1" {
		t.Errorf("%q %v", rows, err)
	}
	if lines := strings.Split(strings.TrimSpace(s.edge(t, "forms", "export", "open", "--json")), "\n"); len(lines) != 2 || !strings.Contains(lines[1], `"Ann"`) {
		t.Errorf("%q", lines)
	}
	if status, _, errOut := command(t, "forms", "spam", "nothing", "--admin="+s.admin.Addr().String()); status != exitFailed || errOut == "" {
		t.Errorf("%d %s", status, errOut)
	}
}

func TestAFunctionIsInvokedByHand(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	event := writeIn(t, t.TempDir(), "event.json", `{"version":"2.0","rawQueryString":"do=json"}`)
	if out := s.edge(t, "functions", "invoke", "record", event); out != `{"any":[1,2]}`+"\n" {
		t.Errorf("%q", out)
	}
	failing := writeIn(t, t.TempDir(), "event.json", `{"rawQueryString":"do=fail"}`)
	if status, _, errOut := command(t, "functions", "invoke", "record", failing, "--admin="+s.admin.Addr().String()); status != exitFailed || !strings.Contains(errOut, "a secret of the function's") {
		t.Errorf("%d %s", status, errOut)
	}
	if status, _, errOut := command(t, "functions", "invoke", "nothing", event, "--admin="+s.admin.Addr().String()); status != exitFailed || !strings.Contains(errOut, "nothing") {
		t.Errorf("%d %s", status, errOut)
	}
	if status, _, _ := command(t, "functions", "invoke", "record", s.file, "--admin="+s.admin.Addr().String()); status != exitUsage {
		t.Errorf("no JSON: %d", status)
	}
}

// A reload changes forms and functions, and loses nothing of what is under way.
func TestFormsAreReloaded(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	client := s.client("h2")
	binary, err := recorder()
	if err != nil {
		t.Fatal(err)
	}
	post := func(form string) int {
		return fetch(t, client, "POST", "https://a.test/forms/"+form, "a=b", "Content-Type: application/x-www-form-urlencoded").StatusCode
	}
	if got := post("added"); got != 404 {
		t.Fatal(got)
	}
	changed := strings.Replace(formsHosts, "  few:", "  added:", 1)
	s.reload(changed, "RECORDER", binary, `"RECORD"`, strconv.Quote(s.file))
	if got := post("added"); got != 303 {
		t.Error(got)
	}
	if got := post("few"); got != 404 {
		t.Error(got)
	}
	await(t, "the new form is delivered", func() bool { return len(s.events(t)) == 1 })
}

// Whoever was thanked is not forgotten: edge is killed in the middle of a burst, again and again.
func TestABurstOfFormsSurvivesKills(t *testing.T) {
	t.Parallel()
	binary, err := recorder()
	if err != nil {
		t.Fatal(err)
	}
	dir := shortDir(t)
	record := filepath.Join(dir, "record")
	body := strings.NewReplacer("RECORDER", binary, `"RECORD"`, strconv.Quote(record)).Replace(formsHosts)
	plain := strings.Replace(strings.Replace(head, "https: 127.0.0.1:0", "https: []", 1), "metrics: 127.0.0.1:0", `metrics: ""`, 1) +
		strings.Replace(body, "  a.test:\n", "  a.test:\n    tls: off\n", 1)
	file := writeIn(t, dir, "edge.yaml", plain)
	var thanked []string
	for round := range 4 {
		thanked = append(thanked, burst(t, file, round)...)
	}
	edge, said := process(t, file)
	defer edge.Process.Kill()
	// What was being delivered when edge was killed is delivered again when its time is over: the function's timeout and half a minute.
	awaitFor(t, time.Minute, "all are delivered", func() bool { return len(missing(t, record, thanked)) == 0 })
	if len(thanked) < 20 {
		t.Errorf("only %d were thanked: %s", len(thanked), said.String())
	}
}

// A function that is missing loses nothing, and a person is told.
func TestWhatNeedsAPersonIsShownAndMailed(t *testing.T) {
	t.Parallel()
	letters := t.TempDir()
	s := serve(t, `
functions: {gone: {command: ./none}}
forms: {open: {function: gone}}
mail: {folder: LETTERS, from: "Edge <edge@example.com>", alarms: ops@example.com}
hosts: {a.test: {rules: [{path: /forms/*, forms: true}], default: {function: gone}}}
`, "LETTERS", letters)
	if got := fetch(t, s.client("h2"), "POST", "https://a.test/forms/open", "a=1", "Content-Type: application/x-www-form-urlencoded"); got.StatusCode != 303 {
		t.Fatal(got.StatusCode, got.text)
	}
	await(t, "attention", func() bool {
		st := s.Status()
		return st.Red && strings.HasPrefix(strings.Join(st.Attention, ""), "function gone: broken")
	})
	if got := fetch(t, s.client("h2"), "GET", "https://a.test/", ""); got.StatusCode != 502 || strings.Contains(got.text, "none") {
		t.Errorf("%d %s", got.StatusCode, got.text)
	}
	if got := (&recorded{running: s}).edge(t, "forms"); !strings.Contains(got, "open  1 ") {
		t.Error(got)
	}
	if err := s.sendAlarm(t.Context(), "1 thing", s.Status().Attention[0]+"\n"); err != nil {
		t.Fatal(err)
	}
	files, _ := filepath.Glob(filepath.Join(letters, "*.eml"))
	if len(files) != 1 {
		t.Fatal(files)
	}
	letter, err := os.ReadFile(files[0])
	if err != nil || !strings.Contains(string(letter), "To: ops@example.com\r\n") || !strings.Contains(string(letter), "function gone: broken") {
		t.Errorf("%s %v", letter, err)
	}
	metrics := s.scrape(t)
	for _, want := range []string{`edge_form_submissions{form="open",state="pending"} 1`, `edge_function_invocations_total{function="gone",outcome="broken"}`, `edge_form_requests_total{form="open",outcome="kept"} 1`} {
		if !strings.Contains(metrics, want) {
			t.Errorf("no %s", want)
		}
	}
}

func TestTheAccessLogSaysWhyAFormWasRefused(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	client := s.client("h2")
	post := func(path string, fields ...string) {
		fetch(t, client, "POST", "https://a.test"+path, "a=1", append(fields, "Content-Type: application/x-www-form-urlencoded")...)
	}
	post("/forms/contact", "Origin: https://evil.test")
	s.logged(t, `"path":"/forms/contact","status":403,.*"error_reason":"origin"`)
	post("/forms/contact", "Origin: https://a.test")
	s.logged(t, `"path":"/forms/contact","status":422,.*"error_reason":"fields"`)
	post("/hook/1?do=fail")
	s.logged(t, `"path":"/hook/1","status":502,.*"error_reason":"failed"`)
	post("/hook/2?do=hang")
	s.logged(t, `"path":"/hook/2","status":504,.*"error_reason":"timed_out"`)
}

// What a check withholds since a secret stands in the line, a reload withholds as well.
func TestAReloadShowsNoSecret(t *testing.T) {
	t.Parallel()
	s := serve(t, "hosts: {a.test: {default: {respond: {body: x}}}}\n")
	s.write("mail: {smtp: {host: smtp.example.com, password: hunter2, prt: 1}, from: a@example.com}\nhosts: {a.test: {default: {respond: {body: x}}}}\n")
	for _, args := range [][]string{{"reload", "-c", s.file}, {"reload", "--json", "-c", s.file}, {"check", "-c", s.file}} {
		if status, out, errOut := command(t, args...); status != exitUsage || !strings.Contains(out+errOut, "prt") || strings.Contains(out+errOut, storeSecret) {
			t.Errorf("%q: %d %s%s", args, status, out, errOut)
		}
	}
}

func TestFilesThatWereSentAreWritten(t *testing.T) {
	t.Parallel()
	s := serveForms(t, formsHosts)
	body := "--x\r\nContent-Disposition: form-data; name=\"../cv\"; filename=\"../../etc/passwd\"\r\nContent-Type: text/plain\r\n\r\nroot\x00\xff\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nb\r\n--x--\r\n"
	if got := fetch(t, s.client("h1"), "POST", "https://a.test/forms/open", body, "Content-Type: multipart/form-data; boundary=x"); got.StatusCode != 303 {
		t.Fatal(got.StatusCode, got.text)
	}
	var found []struct{ ID string }
	if err := json.Unmarshal([]byte(s.edge(t, "forms", "list", "open", "--since", "1d", "--json")), &found); err != nil || len(found) != 1 {
		t.Fatal(err, found)
	}
	folder := filepath.Join(t.TempDir(), "sent")
	said := s.edge(t, "forms", "show", found[0].ID, "--files", folder)
	data, err := os.ReadFile(filepath.Join(folder, found[0].ID+"-1-___cv"))
	if err != nil || string(data) != "root\x00\xff" || !strings.Contains(said, "passwd, 6 bytes") {
		t.Errorf("%q %v %s", data, err, said)
	}
	for what, args := range map[string][]string{"a state": {"list", "open", "--state", "bogus"}, "a time": {"list", "open", "--since", "soon"}} {
		if status, _, errOut := command(t, append([]string{"forms", "--admin=" + s.admin.Addr().String()}, args...)...); status != exitUsage || errOut == "" {
			t.Errorf("%s: %d %s", what, status, errOut)
		}
	}
	for _, args := range [][]string{{"list", "nope"}, {"export", "nope"}} {
		if status, _, errOut := command(t, append([]string{"forms", "--admin=" + s.admin.Addr().String()}, args...)...); status != exitFailed || !strings.Contains(errOut, "there is no form") {
			t.Errorf("%q: %d %s", args, status, errOut)
		}
	}
}
