package services

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

func TestMailIsSentForThoseWhoMay(t *testing.T) {
	s := over(t, storetest.NewMemory())
	var sent []mail.Message
	s.mailer = mailer(func(_ context.Context, m mail.Message) error {
		sent = append(sent, m)
		return nil
	})
	m := &proto.Mail{To: []string{"ann@example.org"}, ReplyTo: "bo@example.org", Subject: "S", Text: "T", Html: "H", Id: "welcome 1"}
	for _, plugin := range []string{"a", "b", "a"} {
		if _, err := called(t, s, plugin, "entries:read", "mail").SendMail(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if got := sent[0]; got.To[0] != "ann@example.org" || got.ReplyTo != "bo@example.org" || got.Subject != "S" || got.Text != "T" || got.HTML != "H" || got.From != "" {
		t.Errorf("it sends %+v", got)
	}
	if sent[0].ID == "" || sent[0].ID == sent[1].ID || sent[0].ID != sent[2].ID || strings.Contains(sent[0].ID, " ") {
		t.Errorf("the ids are %q, %q, %q", sent[0].ID, sent[1].ID, sent[2].ID)
	}
	for _, may := range [][]string{nil, {"entries:read"}, {"mails"}} {
		_, err := called(t, s, "a", may...).SendMail(t.Context(), m)
		if wantCode(t, err, codes.PermissionDenied); !strings.Contains(err.Error(), "may: [mail]") {
			t.Error(err)
		}
	}
	s.mailer = nil
	_, err := called(t, s, "a", "mail").SendMail(t.Context(), m)
	wantCode(t, err, codes.Unavailable)
	if len(sent) != 3 {
		t.Errorf("%d were sent", len(sent))
	}
}

func TestWhatIsWrongWithMailIsSaid(t *testing.T) {
	s := over(t, storetest.NewMemory())
	c := called(t, s, "a", "mail")
	for err, want := range map[error]codes.Code{fault.Invalid: codes.InvalidArgument, fault.Unavailable: codes.Unavailable, errors.New("x"): codes.Internal} {
		s.mailer = mailer(func(context.Context, mail.Message) error { return fmt.Errorf("mail: %w", err) })
		_, got := c.SendMail(t.Context(), &proto.Mail{})
		wantCode(t, got, want)
	}
	if len(s.quotaOf("a").sent) > 0 {
		t.Error("what was not sent counts")
	}
}

func TestAPluginSendsOnlySoMuchMail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(Options{Mailer: mailer(func(context.Context, mail.Message) error { return nil })})
		send := func(plugin string) error {
			p := &process{services: s, plugin: plugin, mail: true}
			_, err := p.SendMail(t.Context(), &proto.Mail{})
			return err
		}
		for i := range maxMail {
			if err := send("a"); err != nil {
				t.Fatalf("message %d: %v", i, err)
			}
			time.Sleep(time.Second)
		}
		err := send("a")
		if status.Code(statusOf(err)) != codes.ResourceExhausted || !strings.Contains(err.Error(), "100 messages") || !strings.Contains(err.Error(), "the next in 58m20s") {
			t.Errorf("one more: %v", err)
		}
		if err := send("b"); err != nil {
			t.Errorf("another plugin: %v", err)
		}
		time.Sleep(58*time.Minute + 20*time.Second)
		if err := send("a"); err != nil {
			t.Errorf("an hour after the first: %v", err)
		}
		if err := send("a"); err == nil {
			t.Error("an hour after the first two went")
		}
	})
}
