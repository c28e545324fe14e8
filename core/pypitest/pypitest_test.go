package pypitest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

const childVariable = "PYPITEST_FETCH" // makes this program fetch the tool, and nothing else

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		_, err := tool(context.Background(), "tool==1")
		fmt.Println(err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// files are a package with a tool.
var files = map[string]string{"db/__init__.py": "", "db/bin/tool": "#!/bin/sh\necho works\n"}

func tool(ctx context.Context, list string) (string, error) {
	return File(ctx, "tool", []byte(list), "tool")
}

func TestAToolIsFetchedOnceForManyWhoAsk(t *testing.T) {
	brought := Fake(t, files, "")
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			program, err := tool(t.Context(), "tool==1")
			if err != nil {
				t.Error(err)
				return
			}
			if out, err := exec.Command(program).Output(); string(out) != "works\n" || err != nil {
				t.Errorf("%s: %s, %v", program, out, err)
			}
			if left, _ := filepath.Glob(filepath.Join(filepath.Dir(program), "work*")); len(left) > 0 {
				t.Error("left there:", left)
			}
		})
		asking.Go(func() {
			if python, err := Python(t.Context(), "packages", []byte("package==1")); err != nil || exec.Command(python).Run() != nil {
				t.Error(python, err)
			}
		})
	}
	asking.Wait()
	if n := brought(); n != 2 {
		t.Errorf("two lists were fetched %d times", n)
	}
}

func TestAChangedListIsFetchedIntoAFolderOfItsOwn(t *testing.T) {
	brought := Fake(t, files, "")
	first, err := tool(t.Context(), "tool==1")
	second, err2 := tool(t.Context(), "tool==2")
	if err != nil || err2 != nil || first == second || brought() != 2 {
		t.Errorf("%s %v, %s %v, fetched %d times", first, err, second, err2, brought())
	}
}

func TestAToolThatIsNotWholeIsFetchedAgain(t *testing.T) {
	for name, spoil := range map[string]func(program string) error{
		"its file is gone": os.Remove,
		"it was not completed": func(program string) error {
			return errors.Join(os.WriteFile(program, []byte("half of it"), 0o755), os.Remove(filepath.Join(filepath.Dir(program), "complete")))
		},
	} {
		t.Run(name, func(t *testing.T) {
			brought := Fake(t, files, "")
			program, _ := tool(t.Context(), "tool==1")
			if err := spoil(program); err != nil {
				t.Fatal(err)
			}
			if again, err := tool(t.Context(), "tool==1"); err != nil || again != program || brought() != 2 {
				t.Errorf("%v, fetched %d times", err, brought())
			}
			if out, err := exec.Command(program).Output(); string(out) != "works\n" {
				t.Errorf("%s, %v", out, err)
			}
		})
	}
}

// Its pip lives on, and until it ends nobody else fetches, nor waits longer than they may.
func TestWhatATestThatWasKilledLeftIsMadeAnew(t *testing.T) {
	pipes := t.TempDir()
	begun, end := filepath.Join(pipes, "begun"), filepath.Join(pipes, "end")
	for _, name := range []string{begun, end} {
		if err := syscall.Mkfifo(name, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	brought := Fake(t, files, fmt.Sprintf("[ ! -p %[1]s ] || { echo > %[1]s; read line < %[2]s; }", begun, end))
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childVariable+"=1")
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(begun); err != nil { // waits for the script
		t.Fatal(err)
	}
	child.Process.Kill()
	child.Wait()
	os.Remove(begun)

	ctx, cancel := context.WithTimeout(t.Context(), 3*lookAgain)
	defer cancel()
	if program, err := tool(ctx, "tool==1"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "waiting for who fetches") {
		t.Errorf("while its pip lives: %s, %v", program, err)
	}
	if err := os.WriteFile(end, []byte("\n"), 0); err != nil { // waits for the script, too
		t.Fatal(err)
	}
	ctx, cancel = context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	program, err := tool(ctx, "tool==1")
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(program).Output(); string(out) != "works\n" || brought() != 2 {
		t.Errorf("%s, %v, fetched %d times", out, err, brought())
	}
}

func TestWithoutTheNetworkATestIsSkippedAndFailsInCI(t *testing.T) {
	Fake(t, files, "echo no route to host >&2; exit 1")
	for range 2 { // what failed is not kept
		_, err := tool(t.Context(), "tool==1")
		if err == nil || !strings.Contains(err.Error(), "no route to host") || !strings.Contains(err.Error(), "apt-get install") {
			t.Fatal(err)
		}
		for ci, want := range map[string]string{"": "SKIPPED: no tool to test with: ", "1": "FAILED: no tool to test with: "} {
			t.Setenv("CI", ci)
			if said := (&recorder{TB: t}).missing(err); !strings.HasPrefix(said, want) {
				t.Errorf("with CI=%s: %s", ci, said)
			}
		}
	}
	t.Setenv("CI", "")
	if said := (&recorder{TB: t}).missing(errors.New("it ended")); !strings.HasPrefix(said, "FAILED: ") {
		t.Error("a tool that does not work is skipped:", said)
	}
}

func TestAPackageWithoutTheFileIsAnError(t *testing.T) {
	Fake(t, map[string]string{"db/tool/readme": ""}, "")
	if program, err := tool(t.Context(), "tool==1"); err == nil || !strings.Contains(err.Error(), "has no tool in it") {
		t.Error(program, err)
	}
}

// recorder is a test that says what became of it.
type recorder struct {
	testing.TB
	said string
}

func (r *recorder) missing(err error) string {
	Missing(r, "tool", err)
	return r.said
}

func (r *recorder) Helper() {}

func (r *recorder) Skipf(format string, args ...any) { r.said += fmt.Sprintf(format, args...) }

func (r *recorder) Fatalf(format string, args ...any) {
	if r.said == "" {
		r.said = "FAILED: " + fmt.Sprintf(format, args...)
	}
}
