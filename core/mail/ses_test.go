package mail

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/mail/mailtest"
)

// sesMailer is a mailer whose connections end with the test.
func sesMailer(t *testing.T, c config.SES) *Mailer {
	t.Helper()
	m := newMailer(t, config.Mail{SES: &c})
	m.carrier.(*ses).backoff = time.Millisecond
	t.Cleanup(func() {
		client, err := m.carrier.(*ses).withRegion(context.Background())
		if idle, ok := client.Options().HTTPClient.(interface{ CloseIdleConnections() }); ok && err == nil {
			idle.CloseIdleConnections()
		}
	})
	return m
}

func TestSESGetsTheMessageAsItIs(t *testing.T) {
	server := mailtest.StartSES(t, "app@example.com")
	message := Message{To: []string{"Ann <ann@example.org>", "bo@müller.example"}, Subject: "Grüße 東京", Text: ".\nZürich\n", HTML: "<p>Zürich", ID: "once"}
	mustSend(t, sesMailer(t, config.SES{}), message)
	got := server.Sent(t)
	if len(got) != 1 || got[0].Sender != "app@example.com" || !slices.Contains(got[0].Recipients, "bo@xn--mller-kva.example") {
		t.Fatalf("SES has %+v", got)
	}
	read := parse(t, got[0].Data)
	if read.subject != message.Subject || read.text != asMail(message.Text) || read.html != asMail(message.HTML) || len(read.to) != 2 {
		t.Errorf("it reads %+v", read)
	}
}

// refusingSES answers each message with an error.
func refusingSES(t *testing.T, status int, code, message string) (asked *atomic.Int32) {
	t.Helper()
	asked = new(atomic.Int32)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		mailtest.Refuse(w, status, code, message)
	}))
	t.Cleanup(server.Close)
	mailtest.Setenv(t, server.URL)
	return asked
}

func TestWhatANoOfSESMeans(t *testing.T) {
	for name, is := range map[string]struct {
		status        int
		code, message string
		want          fault.Code
		asked         int32
		says          string
	}{
		"spam":           {400, "MessageRejected", "Message contains a virus", fault.Invalid, 1, "virus"},
		"a bad address":  {400, "BadRequestException", "Missing final '@domain'", fault.Invalid, 1, "@domain"},
		"not verified":   {400, "MessageRejected", "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: app@example.com", fault.Unavailable, 1, "mail.from"},
		"too fast":       {429, "TooManyRequestsException", "Too many requests", fault.Unavailable, 3, "no more"},
		"a day's quota":  {400, "LimitExceededException", "Daily message quota exceeded", fault.Unavailable, 1, "quota"},
		"suspended":      {400, "AccountSuspendedException", "no", fault.Unavailable, 1, "console"},
		"paused":         {400, "SendingPausedException", "no", fault.Unavailable, 1, "console"},
		"no such sender": {404, "NotFoundException", "no", fault.Unavailable, 1, "set up"},
		"not allowed":    {403, "AccessDeniedException", "not authorized to perform ses:SendRawEmail", fault.Unavailable, 1, "ses:SendRawEmail"},
		"a bad key":      {403, "UnrecognizedClientException", "The security token is invalid", fault.Unavailable, 1, "token"},
		"down":           {500, "InternalFailure", "", fault.Unavailable, 1, "InternalFailure"},
		"a proxy's":      {502, "", "", fault.Unavailable, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			asked := refusingSES(t, is.status, is.code, is.message)
			err := sesMailer(t, config.SES{}).Send(t.Context(), plain())
			if fault.CodeOf(err) != is.want || !strings.Contains(err.Error(), is.says) {
				t.Error(err)
			}
			if asked.Load() != is.asked {
				t.Errorf("it was asked %d times", asked.Load())
			}
		})
	}
}

func TestSESIsNotAskedForAddressesThatItDoesNotTake(t *testing.T) {
	asked := refusingSES(t, 500, "InternalFailure", "")
	message := plain()
	message.To = []string{"用户@example.org"}
	if err := sesMailer(t, config.SES{}).Send(t.Context(), message); fault.CodeOf(err) != fault.Invalid || asked.Load() != 0 {
		t.Error(err, asked.Load())
	}
}

func TestWhatIsMissingForSESIsSaid(t *testing.T) {
	asked := refusingSES(t, 500, "InternalFailure", "")
	unset := func(names ...string) {
		for _, name := range names {
			if err := os.Unsetenv(name); err != nil { // mailtest.Setenv restores it
				t.Fatal(err)
			}
		}
	}
	unset("AWS_REGION")
	m := newMailer(t, config.Mail{SES: &config.SES{}})
	if err := m.Send(t.Context(), plain()); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "mail.ses.region") {
		t.Error(err)
	}
	unset("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
	m = newMailer(t, config.Mail{SES: &config.SES{Region: "eu-west-1"}})
	if err := m.Send(t.Context(), plain()); fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "credentials") {
		t.Error(err)
	}
	if asked.Load() != 0 {
		t.Error("SES was asked")
	}
}

func TestTheRegionIsThatOfTheSettings(t *testing.T) {
	signed := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		signed <- r.Header.Get("Authorization")
		_ = json.NewEncoder(w).Encode(map[string]string{"MessageId": "1"})
	}))
	t.Cleanup(server.Close)
	mailtest.Setenv(t, server.URL)
	mustSend(t, sesMailer(t, config.SES{Region: "ap-south-1"}), plain())
	if by := <-signed; !strings.Contains(by, "/ap-south-1/ses/") {
		t.Error(by)
	}
}

func TestAnSESThatDoesNotAnswerIsLeftWhenTheContextEnds(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	t.Cleanup(server.Close)
	mailtest.Setenv(t, server.URL)
	m := sesMailer(t, config.SES{})
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := m.Send(ctx, plain()); fault.CodeOf(err) != fault.Unavailable || !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
