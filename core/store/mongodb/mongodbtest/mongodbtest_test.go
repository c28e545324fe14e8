package mongodbtest

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.mongodb.org/mongo-driver/v2/mongo/writeconcern"
	"go.uber.org/goleak"
)

var shared Shared

func TestMain(m *testing.M) {
	if os.Getenv(roleVariable) != "" {
		runAsRole()
	}
	goleak.VerifyTestMain(shared.Around(m))
}

// open connects to where the URI says, until the test ends.
func open(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().SetServerSelectionTimeout(20 * time.Second).ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(context.Background()) })
	return client
}

func insert(t *testing.T, c *mongo.Collection, id string) {
	t.Helper()
	if _, err := c.InsertOne(t.Context(), bson.D{{Key: "_id", Value: id}}); err != nil {
		t.Fatal(err)
	}
}

func wantCount(t *testing.T, c *mongo.Collection, want int64) {
	t.Helper()
	if n, err := c.CountDocuments(t.Context(), bson.D{}); n != want || err != nil {
		t.Errorf("%d documents, %v; want %d", n, err, want)
	}
}

func TestASharedSetHasMajorityWritesTransactionsAndChangeStreams(t *testing.T) {
	useAll(t, shared.Set(t))
}

func TestASetOfThree(t *testing.T) {
	t.Parallel()
	set := Start(t, Options{Members: 3})
	t.Run("has majority writes, transactions and change streams", func(t *testing.T) { useAll(t, set) })
	t.Run("elects another primary when one is killed", func(t *testing.T) { killPrimary(t, set) })
	t.Run("elects another primary when one stands still", func(t *testing.T) { pausePrimary(t, set) })
}

func useAll(t *testing.T, set *Set) {
	ctx := t.Context()
	client := open(t, set.URI())
	things := client.Database(set.Database(t)).Collection("things")
	insert(t, things, "first")

	changes, err := things.Watch(ctx, mongo.Pipeline{})
	if err != nil {
		t.Fatal(err)
	}
	defer changes.Close(ctx)
	session, err := client.StartSession()
	if err != nil {
		t.Fatal(err)
	}
	defer session.EndSession(ctx)
	if _, err := session.WithTransaction(ctx, func(ctx context.Context) (any, error) {
		return things.InsertMany(ctx, []any{bson.D{{Key: "_id", Value: "second"}}, bson.D{{Key: "_id", Value: "third"}}})
	}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"second", "third"} {
		if !changes.Next(ctx) || changes.Current.Lookup("documentKey", "_id").StringValue() != want {
			t.Fatalf("the change feed has %v, %v; want %s", changes.Current, changes.Err(), want)
		}
	}
	wantCount(t, things, 3)
}

func TestADatabaseIsDroppedWhenItsTestEnds(t *testing.T) {
	set := shared.Set(t)
	client, name := open(t, set.URI()), ""
	t.Run("a test", func(t *testing.T) {
		name = set.Database(t)
		insert(t, client.Database(name).Collection("things"), "first")
	})
	if left, err := client.ListDatabaseNames(t.Context(), bson.D{{Key: "name", Value: name}}); len(left) > 0 || err != nil {
		t.Errorf("left: %v, %v", left, err)
	}
}

func killPrimary(t *testing.T, set *Set) {
	things := open(t, set.URI()).Database("a").Collection("things")
	insert(t, things, "before")
	killed := set.Primary(t)
	since := time.Now()
	killed.Kill(t)
	next := set.Primary(t)
	t.Logf("another primary after %v", time.Since(since))
	if next == killed {
		t.Errorf("%s was killed and is primary still", killed.Addr())
	}
	insert(t, things, "after")
	killed.Restart(t)
	onAll := options.Collection().SetWriteConcern(&writeconcern.WriteConcern{W: 3})
	insert(t, things.Database().Collection("things", onAll), "with all")
	wantCount(t, open(t, killed.URI()).Database("a").Collection("things"), 3)
}

func pausePrimary(t *testing.T, set *Set) {
	paused := set.Primary(t)
	since := time.Now()
	paused.Pause(t)
	if next := set.Primary(t); next == paused {
		t.Errorf("%s stands still and is primary", paused.Addr())
	}
	t.Logf("another primary after %v", time.Since(since))
	paused.Resume(t)
	set.Primary(t)
	var answer bson.M
	if err := open(t, paused.URI()).Database("admin").RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Decode(&answer); err != nil {
		t.Errorf("resumed, it does not answer: %v", err)
	}
}

func TestAMemberKeepsItsAddressAndDataWhenStartedAgain(t *testing.T) {
	t.Parallel()
	set := Start(t, Options{})
	things := open(t, set.URI()).Database("a").Collection("things")
	insert(t, things, "first")
	only := set.Members()[0]
	only.Stop(t)
	only.Restart(t)
	wantCount(t, things, 1)
	only.Kill(t)
	only.Restart(t)
	wantCount(t, things, 1)
}

func TestAStandaloneIsInNoReplicaSet(t *testing.T) {
	t.Parallel()
	var hello bson.M
	if err := open(t, StartStandalone(t).URI()).Database("admin").RunCommand(t.Context(), bson.D{{Key: "hello", Value: 1}}).Decode(&hello); err != nil {
		t.Fatal(err)
	}
	if hello["setName"] != nil || hello["isreplicaset"] != nil || hello["isWritablePrimary"] != true {
		t.Errorf("it says of itself: %v", hello)
	}
}

func TestSharingASetNeedsATestMainThatEndsIt(t *testing.T) {
	t.Setenv(uriVariable, "")
	t.Setenv(noVariable, "")
	var forgotten Shared
	if message := failure(func(tb testing.TB) { forgotten.Set(tb) }); message == "" {
		t.Error("a set was started that nobody ends")
	}
}

func TestMembersOfASharedSetAreOutOfReach(t *testing.T) {
	set := shared.Set(t)
	if message := failure(func(tb testing.TB) { set.Primary(tb) }); message == "" || len(set.Members()) > 0 {
		t.Error("a test could kill what others use")
	}
}

func TestASetThatRunsAlreadyIsUsedAndNotStarted(t *testing.T) {
	uri := shared.Set(t).URI()
	t.Setenv(uriVariable, uri)
	var other Shared
	if got := other.Set(t).URI(); got != uri {
		t.Errorf("the shared set is %s", got)
	}
	wantSkipped(t)
}

func TestWhoWantsNoMongoDBSkips(t *testing.T) {
	t.Setenv(noVariable, "1")
	wantSkipped(t)
}

func wantSkipped(t *testing.T) {
	t.Helper()
	skipped := false
	t.Run("is skipped", func(t *testing.T) {
		defer func() { skipped = t.Skipped() }()
		Start(t, Options{})
	})
	if !skipped {
		t.Error("a mongod was started")
	}
}

// failure is what f says when it ends its test, "" when it doesn't.
func failure(f func(testing.TB)) string {
	r := &recorder{}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		f(r)
	}()
	<-ended
	return r.message
}

// recorder is a test that fails without failing ours.
type recorder struct {
	testing.TB
	message string
}

func (r *recorder) Helper() {}

func (r *recorder) Fatal(args ...any) {
	r.message = fmt.Sprint(args...)
	runtime.Goexit()
}
