package cert

import (
	"context"
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// A CA's question is answered in time while strangers ask for anything they like, and the store is asked ten times a second.
func TestStrangersDoNotLoadTheStoreNorKeepTheAnswerFromTheCA(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked, atOnce, most atomic.Int32
		o := newOthers(func(_ context.Context, ids []string) (map[string][]byte, error) {
			asked.Add(1)
			most.Store(max(most.Load(), atOnce.Add(1)))
			time.Sleep(20 * time.Millisecond)
			atOnce.Add(-1)
			found := make(map[string][]byte)
			for _, id := range ids {
				if id == "ours" && asked.Load() > 20 {
					found[id] = []byte("answer")
				}
			}
			return found, nil
		})
		began := time.Now()
		var strangers sync.WaitGroup
		for i := range 500 {
			strangers.Go(func() {
				for n := 0; time.Since(began) < 10*time.Second; n++ {
					if o.find(fmt.Sprint(i, " ", n)) != nil {
						t.Error("an answer to a stranger")
					}
					o.find("ours") // before it is there
				}
			})
		}
		time.Sleep(5 * time.Second)
		if got := o.find("ours"); string(got) != "answer" {
			t.Errorf("%q", got)
		}
		strangers.Wait()
		if asked.Load() > 110 || most.Load() > 1 {
			t.Errorf("the store was asked %d times in 10 s, %d at once", asked.Load(), most.Load())
		}
	})
}

// The store refuses a question with a value that is none, or too many bytes: it would answer nobody who asks at that time.
func TestWhatIsNoNameIsNotAskedForTogetherWithWhatACAWants(t *testing.T) {
	var asked []string
	c := newChallenges(nil)
	c.others = newOthers(func(_ context.Context, ids []string) (map[string][]byte, error) {
		asked = append(asked, ids...)
		return nil, nil
	})
	for _, name := range []string{"\xff.example", "a\x00.example", "\U0010ffff", strings.Repeat("a", 60_000), "", "A.example", "4.3.2.1.in-addr.arpa"} {
		c.config(&tls.ClientHelloInfo{ServerName: name, SupportedProtos: []string{acmez.ACMETLS1Protocol}})
	}
	if want := []string{alpnID("a.example"), alpnID("4.3.2.1.in-addr.arpa")}; !slices.Equal(asked, want) {
		t.Errorf("the store was asked for %.200q, want %q", asked, want)
	}
}

func TestWhoAsksForAnAnswerWaitsTwoSecondsAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOthers(func(ctx context.Context, _ []string) (map[string][]byte, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		})
		var waiting sync.WaitGroup
		for i := range 3 * maxWaiting {
			waiting.Go(func() {
				time.Sleep(time.Duration(i) * time.Millisecond)
				began := time.Now()
				if o.find("x") != nil || time.Since(began) > othersTimeout {
					t.Error("it waited", time.Since(began))
				}
			})
		}
		waiting.Wait()
		if o.waiting != 0 {
			t.Error(o.waiting)
		}
	})
}

func TestOnlyWhatCanBeATokenIsAskedFor(t *testing.T) {
	c := newChallenges(nil)
	asked := 0
	c.others = newOthers(func(context.Context, []string) (map[string][]byte, error) {
		asked++
		return nil, nil
	})
	for _, s := range []string{"", "short", "../../../etc/passwd/aaaaaaaaa", strings.Repeat("a", 201), "aaaaaaaaaaaaaaaaaaaaaaa.php"} {
		if _, ok := c.token(s); ok || asked > 0 {
			t.Errorf("%q is asked for", s)
		}
	}
	if _, ok := c.token("evaGxfADs6pSRb2LAv9IZf17Dt3juxGJ-PCt92wr-oA"); ok || asked != 1 {
		t.Error("a token is not asked for")
	}
}

func FuzzAnswersOfOtherHosts(f *testing.F) {
	f.Add(encodeALPN(acme.Challenge{Identifier: acme.Identifier{Type: "dns", Value: "a.test"}, KeyAuthorization: "x.y"}))
	f.Add([]byte(`{"identifier":{"type":"ip","value":"::1"}}`))
	f.Fuzz(func(t *testing.T, value []byte) {
		if answer := alpnAnswer(value); answer != nil && len(answer.Certificate) != 1 {
			t.Error(answer)
		}
	})
}
