package services

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/storetest"
	"github.com/onehost/edge/plugins/internal/proto"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
)

func put(t *testing.T, c proto.HostClient, r *proto.PutRequest) int64 {
	t.Helper()
	answer, err := c.Put(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	return answer.GetVersion()
}

// get returns the value of a key, "-" if there is none.
func get(t *testing.T, c proto.HostClient, key string) (value string, version int64) {
	t.Helper()
	answer, err := c.Get(t.Context(), &proto.GetRequest{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	if !answer.GetFound() {
		return "-", answer.GetVersion()
	}
	return string(answer.GetValue()), answer.GetVersion()
}

func TestValuesAreKeptAndShared(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		one, two, other := called(t, over(t, st), "a"), called(t, over(t, st), "a"), called(t, over(t, st), "ab")
		if value, version := get(t, one, "k"); value != "-" || version != 0 {
			t.Errorf("before, it is %q, %d", value, version)
		}
		first := put(t, one, &proto.PutRequest{Key: "k", Value: []byte("1\x00")})
		if value, version := get(t, two, "k"); value != "1\x00" || version != first {
			t.Errorf("the plugin's other process reads %q, %d", value, version)
		}
		if value, _ := get(t, other, "k"); value != "-" {
			t.Errorf("another plugin reads %q", value)
		}
		if again := put(t, two, &proto.PutRequest{Key: "k"}); again == first || again == 0 {
			t.Errorf("the version is %d again", again)
		}
		if value, _ := get(t, one, "k"); value != "" {
			t.Errorf("what is empty is %q", value)
		}
		for range 2 {
			if _, err := one.Delete(t.Context(), &proto.DeleteRequest{Key: "k"}); err != nil {
				t.Fatal(err)
			}
		}
		if value, _ := get(t, two, "k"); value != "-" {
			t.Errorf("what was deleted is %q", value)
		}
	})
}

func TestAPutOfAnotherVersionIsAborted(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		c := called(t, over(t, st), "a")
		if _, err := c.Put(t.Context(), &proto.PutRequest{Key: "k", IfVersion: new(int64(7))}); status.Code(err) != codes.Aborted {
			t.Errorf("of one that is not there: %v", err)
		}
		first := put(t, c, &proto.PutRequest{Key: "k", Value: []byte("1"), IfVersion: new(int64(0))})
		second := put(t, c, &proto.PutRequest{Key: "k", Value: []byte("2"), IfVersion: &first})
		for _, wrong := range []int64{0, first, second + 1, -1} {
			_, err := c.Put(t.Context(), &proto.PutRequest{Key: "k", Value: []byte("x"), IfVersion: &wrong})
			wantCode(t, err, codes.Aborted)
		}
		if _, err := c.Delete(t.Context(), &proto.DeleteRequest{Key: "k"}); err != nil {
			t.Fatal(err)
		}
		put(t, c, &proto.PutRequest{Key: "k", Value: []byte("3")})
		_, err := c.Put(t.Context(), &proto.PutRequest{Key: "k", Value: []byte("x"), IfVersion: &first})
		wantCode(t, err, codes.Aborted) // the one that was first before
		if value, _ := get(t, c, "k"); value != "3" {
			t.Errorf("it is %q", value)
		}
	})
}

func TestOfThoseWhoPutTheSameVersionOneSucceeds(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		const writers, rounds = 4, 8
		var all sync.WaitGroup
		for range writers {
			c := called(t, over(t, st), "a")
			all.Go(func() {
				for n := 0; n < rounds; {
					value, version := get(t, c, "k")
					_, err := c.Put(t.Context(), &proto.PutRequest{Key: "k", Value: []byte(strings.TrimPrefix(value, "-") + "x"), IfVersion: &version})
					switch status.Code(err) {
					case codes.OK:
						n++
					case codes.Aborted:
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		all.Wait()
		if value, _ := get(t, called(t, over(t, st), "a"), "k"); len(value) != writers*rounds {
			t.Errorf("%d of %d were kept", len(value), writers*rounds)
		}
	})
}

func TestThoseWhoPutWithoutAVersionAllSucceed(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		c := called(t, over(t, st), "a")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 5 {
					if _, err := c.Put(t.Context(), &proto.PutRequest{Key: "k"}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
	})
}

func TestAValueIsGoneWhenItsTimeHasPassed(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		c := called(t, over(t, st), "a")
		first := put(t, c, &proto.PutRequest{Key: "k", Value: []byte("1"), Keep: durationpb.New(time.Hour)})
		if value, _ := get(t, c, "k"); value != "1" {
			t.Fatalf("it is %q before", value)
		}
		age(t, st, keys, "a/k", "expires")
		if value, version := get(t, c, "k"); value != "-" || version != 0 {
			t.Errorf("it is still %q, %d", value, version)
		}
		_, err := c.Put(t.Context(), &proto.PutRequest{Key: "k", IfVersion: &first})
		wantCode(t, err, codes.Aborted)
		put(t, c, &proto.PutRequest{Key: "k", Value: []byte("2"), IfVersion: new(int64(0))})
		age(t, st, keys, "a/k", "expires")
		put(t, c, &proto.PutRequest{Key: "k", Value: []byte("3"), Keep: durationpb.New(time.Hour)})
		put(t, c, &proto.PutRequest{Key: "k", Value: []byte("4")})
		if d, err := st.Get(t.Context(), keys, "a/k"); err != nil || d["expires"] != nil {
			t.Errorf("what was put without a time expires: %v, %v", d, err)
		}
	})
}

// age makes a time of a record an hour old.
func age(t *testing.T, st store.Store, collection, id, field string) {
	t.Helper()
	change := store.Change{Set: store.Document{field: store.Now(-time.Hour)}}
	if _, err := st.Apply(t.Context(), store.Update{Collection: collection, Filter: store.ID(id), Change: change, Must: 1}); err != nil {
		t.Fatal(err)
	}
}

func TestWhatIsOutOfBoundsIsInvalid(t *testing.T) {
	c := called(t, over(t, storetest.NewMemory()), "a")
	for _, r := range []*proto.PutRequest{
		{}, {Key: strings.Repeat("k", maxKey+1)}, {Key: "k", Value: make([]byte, maxValue+1)}, {Key: "k", Keep: durationpb.New(0)}, {Key: "k", Keep: durationpb.New(-time.Second)},
		{Key: "k", Keep: durationpb.New(maxKeep + 1)}, {Key: "k", Keep: &durationpb.Duration{Nanos: 2e9}}, {Key: "k", Keep: &durationpb.Duration{Seconds: 1 << 60}},
	} {
		_, err := c.Put(t.Context(), r)
		wantCode(t, err, codes.InvalidArgument)
	}
	put(t, c, &proto.PutRequest{Key: strings.Repeat("k", maxKey), Value: make([]byte, maxValue)})
}

func TestAPluginHasOnlySoManyKeys(t *testing.T) {
	engines.Each(t, func(t *testing.T, st store.Store) {
		s := over(t, st)
		c := called(t, s, "a")
		put(t, c, &proto.PutRequest{Key: "old"})
		s.records.mu.Lock()
		s.records.rooms[roomOf{keys, "a"}] = &room{maxKeys - 1, time.Now().Add(time.Hour)}
		s.records.mu.Unlock()
		put(t, c, &proto.PutRequest{Key: "last"})
		_, err := c.Put(t.Context(), &proto.PutRequest{Key: "one more"})
		wantCode(t, err, codes.ResourceExhausted)
		put(t, c, &proto.PutRequest{Key: "old", Value: []byte("changed")})
		put(t, called(t, s, "b"), &proto.PutRequest{Key: "of another"})
	})
}

func TestKeysAreCounted(t *testing.T) {
	s := over(t, storetest.NewMemory())
	c := called(t, s, "a")
	for _, key := range []string{"1", "2", "2", "3"} {
		put(t, c, &proto.PutRequest{Key: key})
	}
	of := roomOf{keys, "a"}
	if s.records.rooms[of].n != 3 {
		t.Errorf("it counts %d", s.records.rooms[of].n)
	}
	s.records.rooms[of].read = time.Time{}
	if n, err := s.records.count(t.Context(), of); n != 3 || err != nil {
		t.Errorf("there are %d, %v", n, err)
	}
}

func FuzzAKeyIsItselfAlone(f *testing.F) {
	f.Add("k", "l")
	f.Add("a/b", "a")
	f.Add("\x00", "ü\x00")
	f.Fuzz(func(t *testing.T, one, two string) {
		p := &process{services: New(Options{Store: storetest.NewMemory()}), plugin: "a"}
		_, err := p.Put(t.Context(), &proto.PutRequest{Key: one, Value: []byte("1")})
		if err != nil {
			if code := status.Code(statusOf(err)); code != codes.InvalidArgument {
				t.Fatalf("%q: %v", one, err)
			}
			return
		}
		got, err := p.Get(t.Context(), &proto.GetRequest{Key: two})
		if err == nil && got.GetFound() != (one == two) {
			t.Fatalf("put as %q, it is found=%v as %q", one, got.GetFound(), two)
		}
	})
}
