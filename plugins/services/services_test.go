package services

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestOnlyWhoShowsTheTokenOfTheSocketIsServed(t *testing.T) {
	s := over(t, storetest.NewMemory())
	target, token, stop, err := s.Serve("a", nil, SameUser)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	_, other, stopOther, err := s.Serve("a", nil, SameUser)
	if err != nil {
		t.Fatal(err)
	}
	defer stopOther()
	for _, wrong := range []string{"", other, token[:len(token)-1], token + "x", strings.ToLower(token)} {
		t.Run("", func(t *testing.T) {
			_, err := dialled(t, target, wrong).Get(t.Context(), &proto.GetRequest{Key: "k"})
			wantCode(t, err, codes.Unauthenticated)
		})
	}
	if _, err := dialled(t, target, token).Get(t.Context(), &proto.GetRequest{Key: "k"}); err != nil {
		t.Error(err)
	}
}

func TestASocketIsTheUsersAlone(t *testing.T) {
	s := New(Options{Folder: filepath.Join(t.TempDir(), "new"), Store: storetest.NewMemory(), Log: quiet})
	target, _, stop, err := s.Serve("a", nil, SameUser)
	if err != nil {
		t.Fatal(err)
	}
	path := strings.TrimPrefix(target, "unix:")
	for file, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700, s.folder: 0o700} {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has %v, %v", file, info.Mode(), err)
		}
	}
	stop()
	stop()
	if left, err := os.ReadDir(s.folder); err != nil || len(left) > 0 {
		t.Errorf("there is still %v, %v", left, err)
	}
}

func TestASocketCanBeGivenToExactlyOneOtherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root gives a socket to another user")
	}
	folder, err := os.MkdirTemp("", "") // t.TempDir has folders above it that others can't pass
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(folder)
	if err := os.Chmod(folder, 0o711); err != nil {
		t.Fatal(err)
	}
	s := New(Options{Folder: filepath.Join(folder, "edge"), Store: storetest.NewMemory(), Log: quiet})
	theirs, _, stop, err := s.Serve("a", nil, 60001)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	own, _, stopOwn, err := s.Serve("b", nil, SameUser)
	if err != nil {
		t.Fatal(err)
	}
	defer stopOwn()
	for _, c := range []struct {
		who  int
		to   string
		want error
	}{{60001, theirs, nil}, {60002, theirs, unix.EACCES}, {60001, own, unix.EACCES}} {
		if got := connectAs(c.who, strings.TrimPrefix(c.to, "unix:")); !errors.Is(got, c.want) {
			t.Errorf("%d connects to %s: %v", c.who, c.to, got)
		}
	}
	if info, err := os.Stat(filepath.Dir(strings.TrimPrefix(theirs, "unix:"))); err != nil || info.Mode().Perm() != 0o711 {
		t.Errorf("the folder has %v, %v: others may pass, and not list it", info.Mode(), err)
	}
}

// connectAs connects on a thread of its own, which ends as what it became.
func connectAs(uid int, path string) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread()
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			result <- err
			return
		}
		defer unix.Close(fd)
		_ = unix.Setfsgid(uid)
		_ = unix.Setfsuid(uid)
		result <- unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}()
	return <-result
}

func TestAPathThatIsTooLongIsSaidAndLeavesNothing(t *testing.T) {
	s := New(Options{Folder: filepath.Join(t.TempDir(), strings.Repeat("x", 100)), Store: storetest.NewMemory(), Log: quiet})
	_, _, _, err := s.Serve("a", nil, SameUser)
	if err == nil || !strings.Contains(err.Error(), "put the folder elsewhere") {
		t.Error(err)
	}
	if left, err := os.ReadDir(s.folder); err != nil || len(left) > 0 {
		t.Errorf("there is still %v, %v", left, err)
	}
}

func TestStopEndsCallsUnderWayAndTheSocket(t *testing.T) {
	begun, ended := make(chan struct{}), make(chan struct{})
	s := over(t, storetest.NewMemory())
	s.mailer = mailer(func(ctx context.Context, _ mail.Message) error {
		defer close(ended)
		close(begun)
		<-ctx.Done()
		<-time.After(50 * time.Millisecond) // it takes a while to end
		return ctx.Err()
	})
	target, token, stop, err := s.Serve("a", []string{"mail"}, SameUser)
	if err != nil {
		t.Fatal(err)
	}
	client := dialled(t, target, token)
	result := make(chan error)
	go func() {
		_, err := client.SendMail(t.Context(), &proto.Mail{})
		result <- err
	}()
	<-begun
	stop()
	select {
	case <-ended:
	default:
		t.Error("stop returned before the call had ended")
	}
	if err := <-result; err == nil {
		t.Error("the call succeeded")
	}
	_, err = client.Get(t.Context(), &proto.GetRequest{Key: "k"})
	wantCode(t, err, codes.Unavailable)
}

func TestAProcessHasOnlySoManyCallsAtOnce(t *testing.T) {
	var mu sync.Mutex
	now, most := 0, 0
	full, free := make(chan struct{}), make(chan struct{})
	s := over(t, storetest.NewMemory())
	s.mailer = mailer(func(context.Context, mail.Message) error {
		mu.Lock()
		now++
		if most = max(most, now); now == maxStreams {
			close(full)
		}
		mu.Unlock()
		<-free
		mu.Lock()
		defer mu.Unlock()
		now--
		return nil
	})
	client := called(t, s, "a", "mail")
	var calls sync.WaitGroup
	for range 2 * maxStreams {
		calls.Go(func() {
			if _, err := client.SendMail(t.Context(), &proto.Mail{}); err != nil {
				t.Error(err)
			}
		})
	}
	<-full
	close(free)
	calls.Wait()
	if most > maxStreams {
		t.Errorf("%d calls at once", most)
	}
}

func TestACallThatIsTooLargeIsRefused(t *testing.T) {
	client := called(t, over(t, storetest.NewMemory()), "a")
	_, err := client.Put(t.Context(), &proto.PutRequest{Key: "k", Value: make([]byte, maxMessage)})
	wantCode(t, err, codes.ResourceExhausted)
}

func TestWhatWentWrongHasACodeOfGRPC(t *testing.T) {
	for err, want := range map[error]codes.Code{
		fault.Invalid: codes.InvalidArgument, fault.TooLarge: codes.InvalidArgument, fault.Unauthorized: codes.Unauthenticated, fault.Forbidden: codes.PermissionDenied,
		fault.NotFound: codes.NotFound, fault.Conflict: codes.Aborted, fault.TooMany: codes.ResourceExhausted, fault.Unavailable: codes.Unavailable,
		context.DeadlineExceeded: codes.DeadlineExceeded, context.Canceled: codes.Canceled, errors.New("disk 7"): codes.Internal,
	} {
		got := statusOf(fmt.Errorf("here: %w", err))
		if status.Code(got) != want {
			t.Errorf("%v becomes %v", err, got)
		}
		if said := status.Convert(got).Message(); fault.CodeOf(err) != "" && said != "here" {
			t.Errorf("%v becomes %s", err, said)
		}
		if strings.Contains(got.Error(), "disk 7") {
			t.Errorf("the plugin is told of edge's own: %v", got)
		}
	}
}

func TestAPanicEndsTheCallAlone(t *testing.T) {
	var log strings.Builder
	s := over(t, storetest.NewMemory())
	s.log = slog.New(slog.NewTextHandler(&log, nil))
	s.mailer = mailer(func(context.Context, mail.Message) error { panic("oh") })
	_, err := called(t, s, "a", "mail").SendMail(t.Context(), &proto.Mail{})
	wantCode(t, err, codes.Internal)
	if !strings.Contains(log.String(), "panic=oh") {
		t.Errorf("the log says %s", log.String())
	}
}
