package scaffold

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/pypitest"
	"github.com/onehost/edge/plugins/internal/proto"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	gproto "google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inPython is a new plugin in Python, with its packages.
func inPython(t *testing.T) (folder, interpreter string) {
	t.Helper()
	folder = filepath.Join(t.TempDir(), "hello")
	if _, err := New(folder, "hello", Python); err != nil {
		t.Fatal(err)
	}
	requirements, err := os.ReadFile(filepath.Join(folder, "requirements.txt"))
	if err != nil {
		t.Fatal(err)
	}
	interpreter, err = pypitest.Python(t.Context(), "plugin", requirements)
	if err != nil {
		pypitest.Missing(t, "Python with gRPC", err)
	}
	if err := os.Symlink(filepath.Dir(filepath.Dir(interpreter)), filepath.Join(folder, ".venv")); err != nil {
		t.Fatal(err)
	}
	return folder, interpreter
}

// obedient is a plugin in Python that does what its deliveries say.
func obedient(t *testing.T) *world {
	t.Helper()
	folder, _ := inPython(t)
	copyFile(t, "testdata/main.py", filepath.Join(folder, "main.py"))
	return running(t, filepath.Join(folder, "run"), "python 3.")
}

func TestAPluginInPythonPassesItsTest(t *testing.T) {
	t.Parallel()
	folder, interpreter := inPython(t)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, interpreter, "-m", "unittest")
	cmd.Dir = folder
	if out, err := cmd.CombinedOutput(); err != nil || !strings.Contains(string(out), "Ran 2 tests") {
		t.Errorf("%v\n%s", err, out)
	}
	out, err := exec.CommandContext(ctx, filepath.Join(folder, "run")).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "plugin of edge") {
		t.Errorf("started by hand it says %s, %v", out, err)
	}
}

func TestTheProtocolInPythonIsTheOneThatIsWritten(t *testing.T) {
	t.Parallel()
	folder, interpreter := inPython(t)
	cmd := exec.CommandContext(t.Context(), interpreter, "-c", "import sys, plugin_pb2; sys.stdout.buffer.write(plugin_pb2.DESCRIPTOR.serialized_pb)")
	cmd.Dir = folder
	raw, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	theirs, ours := &descriptorpb.FileDescriptorProto{}, protodesc.ToFileDescriptorProto(proto.File_plugin_proto)
	if err := gproto.Unmarshal(raw, theirs); err != nil {
		t.Fatal(err)
	}
	for _, m := range ours.GetMessageType() {
		unnamed(m)
	}
	if !gproto.Equal(theirs, ours) {
		t.Errorf("make plugin_pb2.py anew, as the package's comment says:\n%v\n%v", theirs, ours)
	}
}

// unnamed removes the names in JSON, which follow from the others and are kept in Go alone.
func unnamed(m *descriptorpb.DescriptorProto) {
	for _, f := range m.GetField() {
		f.JsonName = nil
	}
	for _, inner := range m.GetNestedType() {
		unnamed(inner)
	}
}

func TestThePluginThatIsMadeInPythonHandlesADelivery(t *testing.T) {
	t.Parallel()
	folder, _ := inPython(t)
	w := running(t, filepath.Join(folder, "run"), "python 3.")
	w.countsOnce(t)
	w.client.Kill()
	for _, want := range []string{"this is safe", `"@message":"push with 2 keys"`, `"delivery":"d-1"`, `"source":"github"`, `"attempt":2`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, w.log.String())
		}
	}
}

// countsOnce gives a plugin that was made a delivery twice.
func (w *world) countsOnce(t *testing.T) {
	t.Helper()
	d := &proto.Delivery{Id: "d-1", Source: "github", EventId: "e-1", Type: "push", Body: []byte(`{"a":1,"b":2}`)}
	for attempt := range 2 {
		d.Attempt = int32(attempt + 1)
		if out, err := w.HandleWebhook(w.within(t), d); err != nil || out.GetKind() != proto.Outcome_OK {
			t.Fatalf("%v, %v\n%s", out, err, w.log.String())
		}
	}
	if count := w.value(t, "count/push"); count != "1" {
		t.Errorf("it was counted %q times", count)
	}
}

// value is what the plugin has put under a key.
func (w *world) value(t *testing.T, key string) string {
	t.Helper()
	d, err := w.store.Get(t.Context(), "plugin_keys", "hello/"+key)
	if err != nil {
		t.Fatal(err)
	}
	return string(d.Bytes("value"))
}

// told has the obedient plugin do something.
func (w *world) told(t *testing.T, n int, do string) *proto.Outcome {
	t.Helper()
	out, err := w.HandleWebhook(w.within(t), &proto.Delivery{
		Id: fmt.Sprintf("d-%d", n), EventId: fmt.Sprintf("e-%d", n), Source: "s", Type: "t", Received: &timestamppb.Timestamp{Seconds: 1}, Method: "POST", Path: "/p?q",
		Header: []*proto.Field{{Name: "X-A", Value: "1"}, {Name: "x-a", Value: "2"}}, Attempt: 3, Sync: true, Body: []byte(`{"do":"` + do + `"}`),
	})
	if err != nil {
		t.Errorf("%s: %v\n%s", do, err, w.log.String())
	}
	return out
}

func TestAPluginInPythonSaysWhatCameOfIt(t *testing.T) {
	t.Parallel()
	w := obedient(t)
	for do, want := range map[string]*proto.Outcome{
		"raise":   {Kind: proto.Outcome_RETRY, Reason: "KeyError: 'oh'"},
		"fail":    {Kind: proto.Outcome_FAIL, Reason: "never"},
		"skip":    {Kind: proto.Outcome_SKIP, Reason: "nothing to do"},
		"nothing": {Kind: proto.Outcome_RETRY, Reason: "the handler returned no result: return ok(), skip, retry or fail"},
		"reply":   {Kind: proto.Outcome_OK, Answer: &proto.Answer{Status: 201, Header: []*proto.Field{{Name: "X-A", Value: "b"}}, Body: []byte("hello")}},
		"tell": {Kind: proto.Outcome_OK, Answer: &proto.Answer{
			Status: 200, Body: []byte("('s', 't', '1970-01-01T00:00:01+00:00', 'POST', '/p?q', '1', 3, True, 'secret', True, [], True)"),
		}},
		"once": {Kind: proto.Outcome_OK}, "refused": {Kind: proto.Outcome_OK}, "mail": {Kind: proto.Outcome_OK},
	} {
		if got := w.told(t, 1, do); !gproto.Equal(got, want) {
			t.Errorf("%s: %v\n%s", do, got, w.log.String())
		}
	}
	if out := w.told(t, 1, "retry"); out.GetKind() != proto.Outcome_RETRY || out.GetAfter().AsDuration() != 2500*time.Millisecond {
		t.Errorf("it is tried again %v", out)
	}
	if out, err := w.HandleWebhook(w.within(t), &proto.Delivery{Body: []byte("{")}); err != nil || out.GetKind() != proto.Outcome_FAIL || !strings.Contains(out.GetReason(), "no JSON") {
		t.Errorf("of what is no JSON it says %v, %v", out, err)
	}
	if m := <-w.sent; m.To[0] != "ann@example.org" || m.Subject != "Hello" || m.Text != "Text" {
		t.Errorf("it sent %v", m)
	}
	out, err := w.RunJob(w.within(t), &proto.Run{Id: "r", Job: "nightly", Due: &timestamppb.Timestamp{Seconds: 2}, Attempt: 4})
	if err != nil || out.GetKind() != proto.Outcome_SKIP || out.GetReason() != "nightly r 1970-01-01T00:00:02+00:00 4" {
		t.Errorf("of a job it says %v, %v", out, err)
	}
	if _, err := w.RunJob(w.within(t), &proto.Run{Job: "x"}); status.Code(err) != codes.NotFound {
		t.Errorf("of a job that it has not: %v", err)
	}
}

func TestWhatAPluginInPythonPrintsIsInTheLog(t *testing.T) {
	t.Parallel()
	w := obedient(t)
	w.told(t, 1, "count")
	w.told(t, 2, "raise")
	w.client.Kill()
	for _, want := range []string{"printed while it starts", "printed by the handler", "printed by a program that it starts", `KeyError: 'oh'`, `"@level":"error"`} {
		if !strings.Contains(w.log.String(), want) {
			t.Errorf("the log has no %q:\n%s", want, w.log.String())
		}
	}
}

func TestAPluginInPythonHandlesManyAtOnce(t *testing.T) {
	t.Parallel()
	w := obedient(t)
	var all sync.WaitGroup
	for n := range 20 {
		all.Go(func() {
			if out := w.told(t, n%10, "count"); out.GetKind() != proto.Outcome_OK && !strings.Contains(out.GetReason(), "Busy") {
				t.Errorf("%v", out)
			}
		})
	}
	all.Wait()
	if count := w.value(t, "count"); count != "10" {
		t.Errorf("10 events were counted as %s", count)
	}
}

func TestAPluginInPythonEndsWhenItHasDone(t *testing.T) {
	t.Parallel()
	w := obedient(t)
	done := make(chan *proto.Outcome)
	go func() { done <- w.told(t, 1, "wait") }()
	<-w.sent
	killed := make(chan struct{})
	go func() {
		w.client.Kill()
		close(killed)
	}()
	for err := error(nil); err == nil; { // until it takes no more
		if _, err = w.HandleWebhook(w.within(t), &proto.Delivery{Body: []byte(`{"do":"skip"}`)}); err != nil && !strings.Contains(err.Error(), "about to end") {
			t.Errorf("a call too many: %v", err)
		}
	}
	close(w.free)
	if out := <-done; out.GetKind() != proto.Outcome_OK {
		t.Errorf("what was under way ended with %v", out)
	}
	<-killed
	if !w.client.Exited() {
		t.Error("it lives")
	}
}

func TestAPluginInPythonAnswersEdgeAlone(t *testing.T) {
	t.Parallel()
	w := obedient(t)
	target := "unix:" + w.client.ReattachConfig().Addr.String()
	stranger, _ := identity(t)
	for name, c := range map[string]credentials.TransportCredentials{
		"nothing":                   insecure.NewCredentials(),
		"TLS without a certificate": credentials.NewTLS(&tls.Config{InsecureSkipVerify: true}),
		"TLS with another's":        credentials.NewTLS(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{stranger}}),
	} {
		conn, err := grpc.NewClient(target, grpc.WithTransportCredentials(c))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := proto.NewPluginClient(conn).HandleWebhook(w.within(t), &proto.Delivery{Body: []byte(`{"do":"skip"}`)}); status.Code(err) != codes.Unavailable {
			t.Errorf("with %s: %v", name, err)
		}
		conn.Close()
	}
}

func TestTheGuidesPluginInPythonHandlesADelivery(t *testing.T) {
	t.Parallel()
	folder, _ := inPython(t)
	if err := os.WriteFile(filepath.Join(folder, "main.py"), []byte(inGuide(t, "python")), 0o600); err != nil {
		t.Fatal(err)
	}
	w := running(t, filepath.Join(folder, "run"), "python 3.")
	if out, err := w.HandleWebhook(w.within(t), &proto.Delivery{Id: "d", Body: []byte(`{"ref":"main"}`)}); err != nil || out.GetKind() != proto.Outcome_OK {
		t.Errorf("%v, %v\n%s", out, err, w.log.String())
	}
}
