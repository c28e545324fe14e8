package services

import (
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/durationpb"
)

const (
	busy  = proto.BeginResponse_BUSY
	begun = proto.BeginResponse_BEGUN
	done  = proto.BeginResponse_DONE
)

func begin(t *testing.T, c proto.HostClient, key string, want proto.BeginResponse_State) *proto.BeginResponse {
	t.Helper()
	got, err := c.Begin(t.Context(), &proto.BeginRequest{Key: key})
	if err != nil || got.GetState() != want {
		t.Fatalf("begin: %v, %v", got, err)
	}
	return got
}

func TestOfThoseWhoBeginOneDoes(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		var mu sync.Mutex
		turns := map[proto.BeginResponse_State]int{}
		var all sync.WaitGroup
		for range 4 {
			c := called(t, over(t, st), "a")
			for range 4 {
				all.Go(func() {
					got, err := c.Begin(t.Context(), &proto.BeginRequest{Key: "k"})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					defer mu.Unlock()
					turns[got.GetState()]++
				})
			}
		}
		all.Wait()
		if turns[begun] != 1 || turns[busy] != 15 {
			t.Errorf("they were told %v", turns)
		}
	})
}

func TestWhatWasDoneIsRemembered(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		one, two := called(t, over(t, st), "a"), called(t, over(t, st), "a")
		turn := begin(t, one, "k", begun).GetTurn()
		begin(t, called(t, over(t, st), "b"), "k", begun) // another plugin's
		for range 2 {                                     // the second time as if the answer had been lost
			if _, err := one.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: turn, Done: true, Result: []byte("r")}); err != nil {
				t.Fatal(err)
			}
		}
		if got := begin(t, two, "k", done); string(got.GetResult()) != "r" {
			t.Errorf("the result is %q", got.GetResult())
		}
		if _, err := two.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: turn}); err != nil {
			t.Fatal(err)
		}
		begin(t, two, "k", done)
		age(t, st, dones, "a/k", "expires")
		begin(t, two, "k", begun)
	})
}

func TestWhatWasNotDoneIsBegunByAnother(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		one, two := called(t, over(t, st), "a"), called(t, over(t, st), "a")
		turn := begin(t, one, "k", begun).GetTurn()
		begin(t, two, "k", busy)
		if _, err := one.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: turn}); err != nil {
			t.Fatal(err)
		}
		begin(t, two, "k", begun)
		_, err := one.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: turn, Done: true})
		wantCode(t, err, codes.Aborted)
	})
}

func TestWhoWasAwayForLongerThanTheClaimComesTooLate(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		one, two := called(t, over(t, st), "a"), called(t, over(t, st), "a")
		late := begin(t, one, "k", begun).GetTurn()
		age(t, st, dones, "a/k", "until")
		turn := begin(t, two, "k", begun).GetTurn()
		begin(t, one, "k", busy)
		_, err := one.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: late, Done: true, Result: []byte("late")})
		wantCode(t, err, codes.Aborted)
		if _, err := one.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: late}); err != nil {
			t.Fatal(err)
		}
		begin(t, one, "k", busy)
		age(t, st, dones, "a/k", "until") // it took long, but nobody has begun since
		if _, err := two.Finish(t.Context(), &proto.FinishRequest{Key: "k", Turn: turn, Done: true, Result: []byte("r")}); err != nil {
			t.Fatal(err)
		}
		if got := begin(t, one, "k", done); string(got.GetResult()) != "r" {
			t.Errorf("the result is %q", got.GetResult())
		}
	})
}

func TestTimesAreTheStores(t *testing.T) {
	st := storetest.NewMemory()
	c := called(t, over(t, st), "a")
	if _, err := c.Begin(t.Context(), &proto.BeginRequest{Key: "k", Claim: durationpb.New(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	d, err := st.Get(t.Context(), dones, "a/k")
	if left := time.Until(d.Time("until")); err != nil || left < 59*time.Minute || left > time.Hour {
		t.Errorf("it is claimed for %v, %v", left, err)
	}
	if left := time.Until(d.Time("expires")); left < 29*24*time.Hour || left > 30*24*time.Hour {
		t.Errorf("it is forgotten in %v", left)
	}
	for _, claim := range []time.Duration{-1, 0, maxClaim + 1} {
		_, err := c.Begin(t.Context(), &proto.BeginRequest{Key: "k", Claim: durationpb.New(claim)})
		wantCode(t, err, codes.InvalidArgument)
	}
	for _, r := range []*proto.FinishRequest{{}, {Key: "k", Result: make([]byte, maxValue+1)}, {Key: "k", Keep: durationpb.New(0)}} {
		_, err := c.Finish(t.Context(), r)
		wantCode(t, err, codes.InvalidArgument)
	}
}
