package admin_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/user"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/api/accounts"
	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/api/strapi"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/core/jobs"
	"github.com/onehost/edge/core/lambda"
	"github.com/onehost/edge/core/webhooks"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/edge/internal/admin"
	"github.com/onehost/edge/edge/internal/cert"
	"github.com/onehost/edge/edge/internal/target"
	"github.com/onehost/edge/plugins/host"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// operations answers what the test wants and remembers what was asked.
type operations struct {
	serving bool
	asked   []string
	err     error
}

func (o *operations) Status() admin.Status {
	return admin.Status{State: "serving", PID: 7, Files: []string{"/etc/edge/edge.yaml"}}
}
func (o *operations) Certificates() []cert.Status      { return []cert.Status{{Host: "localhost"}} }
func (o *operations) CheckStore(context.Context) error { return nil }
func (o *operations) Targets() []target.GroupStatus    { return []target.GroupStatus{{Group: "app"}} }
func (o *operations) Serving() bool                    { return o.serving }
func (o *operations) Reload(context.Context) (admin.ReloadOutcome, error) {
	return admin.ReloadOutcome{Problems: []config.Problem{{File: "edge.yaml", Line: 3, Message: "no"}}}, o.err
}
func (o *operations) AddTarget(group, url string, weight int) error {
	o.asked = append(o.asked, strings.Repeat("+", weight)+group+" "+url)
	return o.err
}
func (o *operations) DrainTarget(group, url string) error {
	o.asked = append(o.asked, "drain "+group+" "+url)
	return o.err
}
func (o *operations) RemoveTarget(group, url string) error {
	o.asked = append(o.asked, "remove "+group+" "+url)
	return o.err
}

func (o *operations) RenewCertificate(_ context.Context, host string) error {
	o.asked = append(o.asked, "renew "+host)
	return o.err
}

func (o *operations) Functions() []lambda.Status { return []lambda.Status{{Name: "contact"}} }
func (o *operations) InvokeFunction(_ context.Context, function string, event []byte) (admin.Invocation, error) {
	o.asked = append(o.asked, "invoke "+function+" "+string(event))
	return admin.Invocation{Payload: event}, o.err
}
func (o *operations) Forms(context.Context) ([]submissions.Count, error) {
	return []submissions.Count{{Form: "contact", Dead: 2}}, nil
}
func (o *operations) Submissions(_ context.Context, f submissions.Filter) ([]admin.Submission, error) {
	o.asked = append(o.asked, fmt.Sprint("list ", f))
	return []admin.Submission{{ID: "1"}}, o.err
}
func (o *operations) Submission(_ context.Context, id string) (admin.Submission, error) {
	return admin.Submission{ID: id}, o.err
}
func (o *operations) SubmissionEvent(_ context.Context, id string) (json.RawMessage, error) {
	return json.RawMessage(`{"of":"` + id + `"}`), o.err
}
func (o *operations) MarkSubmission(_ context.Context, id, mark string) error {
	o.asked = append(o.asked, mark+" "+id)
	return o.err
}

func (o *operations) Changes(_ context.Context, f changes.Filter) ([]changes.Change, error) {
	o.asked = append(o.asked, fmt.Sprint("changes ", f))
	return []changes.Change{{ID: "1", Type: "article", Action: changes.Update, By: "user:a"}}, o.err
}
func (o *operations) Users(_ context.Context, f accounts.Filter) ([]accounts.User, error) {
	o.asked = append(o.asked, fmt.Sprint("users ", f))
	return []accounts.User{{Number: 1, Username: "ann"}}, o.err
}
func (o *operations) AddUser(_ context.Context, u admin.NewUser) (accounts.User, error) {
	return accounts.User{Username: u.Username, Email: u.Email, Role: u.Role, Blocked: u.Blocked}, o.err
}
func (o *operations) ChangeUser(_ context.Context, who string, c admin.UserChange) error {
	o.asked = append(o.asked, fmt.Sprint("change ", who, " ", c.Role != nil, c.Logout))
	return o.err
}
func (o *operations) RemoveUser(_ context.Context, who string) error {
	o.asked = append(o.asked, "remove "+who)
	return o.err
}
func (o *operations) Tokens(context.Context) ([]accounts.Token, error) {
	return []accounts.Token{{Name: "site", Kind: access.ReadOnly}}, o.err
}
func (o *operations) CreateToken(_ context.Context, t admin.NewToken) (string, error) {
	return fmt.Sprint(t.Name, t.Kind, t.Permissions, t.Expires.Unix()), o.err
}
func (o *operations) RevokeToken(_ context.Context, name string) error {
	o.asked = append(o.asked, "revoke "+name)
	return o.err
}
func (o *operations) RotateKey(_ context.Context, atOnce bool) error {
	o.asked = append(o.asked, fmt.Sprint("rotate ", atOnce))
	return o.err
}

func (o *operations) Import(_ context.Context, from io.Reader, told func([]strapi.Result) error) error {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if lines.Text() == "bad" {
			return fmt.Errorf("a line is bad: %w", fault.Invalid)
		}
		if err := told([]strapi.Result{{Outcome: strapi.Outcome(lines.Text())}}); err != nil {
			return err
		}
	}
	return lines.Err()
}
func (o *operations) ImportFile(_ context.Context, name string, size int64, from io.Reader) (bool, error) {
	text, _ := io.ReadAll(from)
	o.asked = append(o.asked, fmt.Sprint("file ", name, size, string(text)))
	return name == "new.png", o.err
}

func (o *operations) Jobs(context.Context) ([]admin.Job, error) {
	return []admin.Job{{Status: jobs.Status{Job: "reconcile"}, Runs: "plugin planner"}}, nil
}
func (o *operations) JobHistory(_ context.Context, f jobs.Filter) ([]jobs.Record, error) {
	o.asked = append(o.asked, fmt.Sprint("history ", f))
	return []jobs.Record{{ID: "1"}}, o.err
}
func (o *operations) JobRun(_ context.Context, name string) (string, error) {
	o.asked = append(o.asked, "run "+name)
	return "7", o.err
}
func (o *operations) PauseJob(_ context.Context, name string) error {
	o.asked = append(o.asked, "pause "+name)
	return o.err
}
func (o *operations) ResumeJob(_ context.Context, name string) error {
	o.asked = append(o.asked, "resume "+name)
	return o.err
}
func (o *operations) Sources(context.Context) ([]admin.Source, error) {
	return []admin.Source{{Count: inbox.Count{Source: "github", Dead: 2}, Plugin: "planner"}}, nil
}
func (o *operations) Deliveries(_ context.Context, f inbox.Filter) ([]inbox.Delivery, error) {
	o.asked = append(o.asked, fmt.Sprint("deliveries ", f))
	return []inbox.Delivery{{ID: "1"}}, o.err
}
func (o *operations) Delivery(_ context.Context, id string) (inbox.Delivery, error) {
	return inbox.Delivery{ID: id, Body: []byte("\x00raw")}, o.err
}
func (o *operations) Redeliver(_ context.Context, s inbox.Selection, dryRun bool) ([]string, error) {
	o.asked = append(o.asked, fmt.Sprint("redeliver ", s.IDs, s.Filter, dryRun))
	return s.IDs, o.err
}
func (o *operations) Doctor(_ context.Context, source string) (webhooks.Report, error) {
	return webhooks.Report{Source: source}, o.err
}
func (o *operations) Plugins() []host.Status { return []host.Status{{Name: "planner"}} }
func (o *operations) ReloadPlugin(_ context.Context, name string) error {
	o.asked = append(o.asked, "reload "+name)
	return o.err
}

// start serves o on a socket and returns the socket's path.
func start(t *testing.T, o *operations) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	ln, err := admin.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: admin.NewHandler(o)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(ln) }()
	t.Cleanup(func() { server.Close(); <-served })
	return path
}

func TestClientAsksServer(t *testing.T) {
	o := &operations{serving: true}
	client := admin.NewClient(start(t, o))
	if st, err := client.Status(t.Context()); err != nil || st.PID != 7 || st.Files[0] != "/etc/edge/edge.yaml" {
		t.Errorf("status: %+v, %v", st, err)
	}
	if all, err := client.Certificates(t.Context()); err != nil || len(all) != 1 || all[0].Host != "localhost" {
		t.Errorf("certificates: %+v, %v", all, err)
	}
	if all, err := client.Targets(t.Context()); err != nil || len(all) != 1 || all[0].Group != "app" {
		t.Errorf("targets: %+v, %v", all, err)
	}
	if out, err := client.Reload(t.Context()); err != nil || out.Applied || out.Problems[0].Line != 3 {
		t.Errorf("reload: %+v, %v", out, err)
	}
	client.AddTarget(t.Context(), "a/b", "http://127.0.0.1:1", 2)
	client.DrainTarget(t.Context(), "app", "http://127.0.0.1:1")
	client.RemoveTarget(t.Context(), "app", "http://127.0.0.1:1")
	client.RenewCertificate(t.Context(), "*.example.com")
	want := "++a/b http://127.0.0.1:1, drain app http://127.0.0.1:1, remove app http://127.0.0.1:1, renew *.example.com"
	if got := strings.Join(o.asked, ", "); got != want {
		t.Errorf("asked for %s\nwant      %s", got, want)
	}
}

func TestClientAsksForWebhooks(t *testing.T) {
	o := &operations{serving: true}
	client, ctx := admin.NewClient(start(t, o)), t.Context()
	if all, err := client.Sources(ctx); err != nil || len(all) != 1 || all[0].Source != "github" || all[0].Dead != 2 || all[0].Plugin != "planner" {
		t.Error(all, err)
	}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	f := inbox.Filter{Source: "a b", Type: "push", State: inbox.Dead, Since: since, Until: since.Add(time.Hour), After: "0", Limit: 7}
	if found, err := client.Deliveries(ctx, f); err != nil || len(found) != 1 || o.asked[0] != fmt.Sprint("deliveries ", f) {
		t.Error(found, err, o.asked)
	}
	if d, err := client.Delivery(ctx, "a/b"); err != nil || d.ID != "a/b" || string(d.Body) != "\x00raw" {
		t.Error(d, err)
	}
	if ids, err := client.Redeliver(ctx, inbox.Selection{IDs: []string{"1", "2"}}, true); err != nil || len(ids) != 2 || o.asked[1] != fmt.Sprint("redeliver ", ids, inbox.Filter{}, true) {
		t.Error(ids, err, o.asked)
	}
	if report, err := client.Doctor(ctx, "a/b"); err != nil || report.Source != "a/b" {
		t.Error(report, err)
	}
	if all, err := client.Plugins(ctx); err != nil || len(all) != 1 || client.ReloadPlugin(ctx, "a/b") != nil || o.asked[2] != "reload a/b" {
		t.Error(all, err, o.asked)
	}
}

func TestClientAsksForJobs(t *testing.T) {
	o := &operations{serving: true}
	client, ctx := admin.NewClient(start(t, o)), t.Context()
	if all, err := client.Jobs(ctx); err != nil || len(all) != 1 || all[0].Job != "reconcile" || all[0].Runs != "plugin planner" {
		t.Error(all, err)
	}
	f := jobs.Filter{Job: "a/b", Limit: 7, After: "x"}
	if found, err := client.JobHistory(ctx, f); err != nil || len(found) != 1 || o.asked[0] != fmt.Sprint("history ", f) {
		t.Error(found, err, o.asked)
	}
	if id, err := client.RunJob(ctx, "a/b"); err != nil || id != "7" {
		t.Error(id, err)
	}
	client.PauseJob(ctx, "a/b")
	client.ResumeJob(ctx, "a/b")
	if got := strings.Join(o.asked[1:], ", "); got != "run a/b, pause a/b, resume a/b" {
		t.Error(got)
	}
}

func TestClientAsksForModules(t *testing.T) {
	o := &operations{serving: true}
	client, ctx := admin.NewClient(start(t, o)), t.Context()
	if all, err := client.Functions(ctx); err != nil || len(all) != 1 || all[0].Name != "contact" {
		t.Error(all, err)
	}
	if got, err := client.InvokeFunction(ctx, "a b", json.RawMessage(`{"a":1}`)); err != nil || string(got.Payload) != `{"a":1}` {
		t.Error(got, err)
	}
	if _, err := client.InvokeFunction(ctx, "a", json.RawMessage(`{`)); err == nil {
		t.Error("what is no JSON was sent")
	}
	if all, err := client.Forms(ctx); err != nil || len(all) != 1 || all[0].Dead != 2 {
		t.Error(all, err)
	}
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if found, err := client.Submissions(ctx, submissions.Filter{Form: "f", State: submissions.Spam, Since: since, After: "x", Limit: 7}); err != nil || len(found) != 1 {
		t.Error(found, err)
	}
	if s, err := client.Submission(ctx, "a/b"); err != nil || s.ID != "a/b" {
		t.Error(s, err)
	}
	if event, err := client.SubmissionEvent(ctx, "7"); err != nil || string(event) != `{"of":"7"}` {
		t.Errorf("%s %v", event, err)
	}
	for _, mark := range []string{"spam", "ham", "resend"} {
		if err := client.MarkSubmission(ctx, "1", mark); err != nil {
			t.Error(err)
		}
	}
	if err := client.MarkSubmission(ctx, "1", "drop"); fault.CodeOf(err) != fault.NotFound {
		t.Error(err)
	}
	want := `invoke a b {"a":1};list {f spam 2026-01-02 03:04:05 +0000 UTC x 7};spam 1;ham 1;resend 1`
	if got := strings.Join(o.asked, ";"); got != want {
		t.Errorf("%s instead of %s", got, want)
	}
	o.err = fmt.Errorf("it is spam already: %w", fault.Conflict)
	if err := client.MarkSubmission(ctx, "1", "spam"); fault.CodeOf(err) != fault.Conflict || err.Error() != "it is spam already" {
		t.Error(err)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	for _, err := range []error{&admin.Error{Code: fault.NotFound, Message: "no group app"}, errors.New("disk full")} {
		client := admin.NewClient(start(t, &operations{err: err}))
		got := client.DrainTarget(t.Context(), "app", "http://127.0.0.1:1")
		coded, ok := errors.AsType[*admin.Error](got)
		if !ok || coded.Message != err.Error() {
			t.Errorf("got %v, want %v", got, err)
		}
		if want, ok := errors.AsType[*admin.Error](err); ok && coded.Code != want.Code {
			t.Errorf("code %q, want %q", coded.Code, want.Code)
		}
	}
}

func TestStrictRequests(t *testing.T) {
	o := &operations{}
	path := start(t, o)
	client := &http.Client{Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
	for body, want := range map[string]int{
		`{"url":"http://127.0.0.1:1"}`:               http.StatusNoContent,
		`{"url":"http://127.0.0.1:1","color":"red"}`: http.StatusBadRequest,
		`{"url":"http://127.0.0.1:1"} {}`:            http.StatusBadRequest,
		`{}`:                                         http.StatusBadRequest,
		``:                                           http.StatusBadRequest,
		`{"url":"` + strings.Repeat("x", 1<<17) + `"}`: http.StatusBadRequest,
	} {
		r, err := client.Post("http://edge/v1/targets/app/drain", "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("%.60s: %d, want %d", body, r.StatusCode, want)
		}
	}
	if len(o.asked) != 1 {
		t.Errorf("a refused request was carried out: %q", o.asked)
	}
}

func TestHealth(t *testing.T) {
	for serving, want := range map[bool]int{true: 200, false: 503} {
		path := start(t, &operations{serving: serving})
		client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		}}}
		r, err := client.Get("http://edge/_edge/health")
		if err != nil {
			t.Fatal(err)
		}
		r.Body.Close()
		if r.StatusCode != want {
			t.Errorf("serving %v: %d, want %d", serving, r.StatusCode, want)
		}
	}
}

func TestListen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "admin.sock")
	ln, err := admin.Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode())
	}
	if _, err := admin.Listen(path, ""); err == nil || !strings.Contains(err.Error(), "another edge is running") {
		t.Errorf("second server: %v", err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false) // as when it is killed
	ln.Close()
	if ln, err = admin.Listen(path, ""); err != nil {
		t.Fatalf("after a kill: %v", err)
	}
	ln.Close()

	group, err := user.LookupGroupId("0")
	if err != nil {
		t.Fatal(err)
	}
	if ln, err = admin.Listen(path, group.Name); err != nil {
		t.Fatal(err)
	}
	if info, _ := os.Stat(path); info.Mode().Perm() != 0o660 {
		t.Errorf("mode for a group: %v", info.Mode())
	}
	ln.Close()
	if _, err := admin.Listen(path, "no-such-group"); err == nil {
		t.Error("an unknown group was accepted")
	}
	if _, err := admin.Listen("/tmp/"+strings.Repeat("x", 108), ""); err == nil || !strings.Contains(err.Error(), "listen.admin") {
		t.Errorf("long path: %v", err)
	}
}

func TestListenRemovesSocketsAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notes.txt")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	link := path + ".link"
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for _, taken := range []string{path, link} {
		if _, err := admin.Listen(taken, ""); err == nil || !strings.Contains(err.Error(), "listen.admin") {
			t.Errorf("%s: %v", taken, err)
		}
		if content, err := os.ReadFile(taken); string(content) != "precious" {
			t.Errorf("%s is gone: %v", taken, err)
		}
	}
}

func TestClientSaysWhatToDo(t *testing.T) {
	_, err := admin.NewClient(filepath.Join(t.TempDir(), "admin.sock")).Status(t.Context())
	if err == nil || !strings.Contains(err.Error(), "edge run") {
		t.Errorf("got %v", err)
	}
}

func TestClientAsksForContentAndAccounts(t *testing.T) {
	o := &operations{serving: true}
	client, ctx := admin.NewClient(start(t, o)), t.Context()
	of := changes.Filter{Type: "article", Entry: "a/b", By: "user:a b", Request: "r", Limit: 7, After: "x"}
	if found, err := client.Changes(ctx, of); err != nil || len(found) != 1 || found[0].Type != "article" || found[0].Action != "update" || o.asked[0] != fmt.Sprint("changes ", of) {
		t.Error(found, err, o.asked)
	}
	f := accounts.Filter{Search: "a&b", Role: "editor", After: 9, Limit: 7}
	if found, err := client.Users(ctx, f); err != nil || len(found) != 1 || found[0].Username != "ann" || o.asked[1] != fmt.Sprint("users ", f) {
		t.Error(found, err, o.asked)
	}
	if u, err := client.AddUser(ctx, admin.NewUser{Username: "ann", Email: "ann@example.org", Role: "editor", Blocked: true}); err != nil || u.Username != "ann" || u.Email != "ann@example.org" || u.Role != "editor" || !u.Blocked {
		t.Error(u, err)
	}
	role, expires := "editor", time.Unix(1e9, 0)
	client.ChangeUser(ctx, "a/b@example.org", admin.UserChange{Role: &role, Logout: true})
	client.RemoveUser(ctx, "a/b")
	if all, err := client.Tokens(ctx); err != nil || len(all) != 1 || all[0].Name != "site" || all[0].Kind != access.ReadOnly {
		t.Error(all, err)
	}
	if token, err := client.CreateToken(ctx, admin.NewToken{Name: "site", Kind: access.Custom, Permissions: []string{"a.find"}, Expires: expires}); err != nil || token != fmt.Sprint("site", access.Custom, []string{"a.find"}, expires.Unix()) {
		t.Error(token, err)
	}
	client.RevokeToken(ctx, "a b")
	client.RotateKey(ctx, false)
	client.RotateKey(ctx, true)
	if got := strings.Join(o.asked[2:], ", "); got != "change a/b@example.org true true, remove a/b, revoke a b, rotate false, rotate true" {
		t.Error(got)
	}
}

// What is sent is answered batch by batch, while more is sent.
func TestClientSendsAnImport(t *testing.T) {
	o := &operations{serving: true}
	client, ctx := admin.NewClient(start(t, o)), t.Context()
	read, write := io.Pipe()
	heard := make(chan strapi.Outcome, 1)
	go func() {
		for _, line := range []string{"created", "same"} {
			fmt.Fprintln(write, line)
			<-heard // or it would never come to its end
		}
		fmt.Fprintln(write, "bad")
		write.Close()
	}()
	var outcomes []strapi.Outcome
	err := client.Import(ctx, read, func(results []strapi.Result) {
		outcomes = append(outcomes, results[0].Outcome)
		heard <- results[0].Outcome
	})
	if refused, ok := errors.AsType[*admin.Error](err); !ok || refused.Code != fault.Invalid || !strings.Contains(refused.Message, "a line is bad") {
		t.Error(err)
	}
	if len(outcomes) != 2 || outcomes[0] != strapi.Created || outcomes[1] != strapi.Same {
		t.Error(outcomes)
	}
	for name, want := range map[string]bool{"new.png": true, "old/x.png": false} {
		if kept, err := client.ImportFile(ctx, name, 3, strings.NewReader("abc")); err != nil || kept != want || o.asked[len(o.asked)-1] != "file "+name+"3abc" {
			t.Error(name, kept, err, o.asked)
		}
	}
	o.err = fmt.Errorf("the disk is full: %w", fault.Unavailable)
	if _, err := client.ImportFile(ctx, "new.png", 3, strings.NewReader("abc")); err == nil || !strings.Contains(err.Error(), "the disk is full") {
		t.Error(err)
	}
}
