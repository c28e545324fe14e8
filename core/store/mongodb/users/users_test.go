package users

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"go.uber.org/goleak"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, uri string) *mongo.Client {
	t.Helper()
	client, err := mongo.Connect(options.Client().ApplyURI(uri))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Disconnect(context.Background()) })
	return client
}

func makeAll(t *testing.T, o Options) *Made {
	t.Helper()
	made, err := Make(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// as returns a client for each user that has been made.
func (m *Made) as(t *testing.T) map[string]*mongo.Client {
	clients := make(map[string]*mongo.Client)
	for _, u := range m.Users {
		clients[u.Name] = open(t, u.Whole())
	}
	return clients
}

// fill has something to read in every database, and in one of somebody else.
func fill(t *testing.T, admin *mongo.Client, name string) {
	t.Helper()
	for _, database := range []string{name, name + "_private", name + "_functions", name + "-payroll"} {
		if _, err := admin.Database(database).Collection("things").InsertOne(t.Context(), bson.D{}); err != nil {
			t.Fatal(err)
		}
	}
}

// deeds are what somebody may or may not do in a database.
var deeds = map[string]func(context.Context, *mongo.Database) error{
	"find": func(ctx context.Context, d *mongo.Database) error {
		return d.Collection("things").FindOne(ctx, bson.D{}).Err()
	},
	"count": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.Collection("things").CountDocuments(ctx, bson.D{})
		return err
	},
	"insert": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.Collection("things").InsertOne(ctx, bson.D{})
		return err
	},
	"update": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.Collection("things").UpdateMany(ctx, bson.D{}, bson.D{{Key: "$set", Value: bson.D{{Key: "a", Value: 1}}}})
		return err
	},
	"remove": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.Collection("things").DeleteOne(ctx, bson.D{{Key: "_id", Value: "not there"}})
		return err
	},
	"watch": func(ctx context.Context, d *mongo.Database) error {
		stream, err := d.Collection("things").Watch(ctx, mongo.Pipeline{})
		if err == nil {
			stream.Close(ctx)
		}
		return err
	},
	"listCollections": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.ListCollectionNames(ctx, bson.D{})
		return err
	},
	"listIndexes": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.Collection("things").Indexes().ListSpecifications(ctx)
		return err
	},
	"create":         func(ctx context.Context, d *mongo.Database) error { return d.CreateCollection(ctx, "new") },
	"dropDatabase":   func(ctx context.Context, d *mongo.Database) error { return d.Drop(ctx) },
	"dropCollection": func(ctx context.Context, d *mongo.Database) error { return d.Collection("new").Drop(ctx) },
	"index and drop": func(ctx context.Context, d *mongo.Database) error {
		name, err := d.Collection("things").Indexes().CreateOne(ctx, mongo.IndexModel{Keys: bson.D{{Key: "a", Value: 1}}})
		if err != nil {
			return err
		}
		return d.Collection("things").Indexes().DropOne(ctx, name)
	},
	"collMod":    command(bson.D{{Key: "collMod", Value: "things"}}),
	"collStats":  command(bson.D{{Key: "collStats", Value: "things"}}),
	"dbStats":    command(bson.D{{Key: "dbStats", Value: 1}}),
	"validate":   command(bson.D{{Key: "validate", Value: "things"}}),
	"createUser": command(bson.D{{Key: "createUser", Value: "x"}, {Key: "pwd", Value: "x"}, {Key: "roles", Value: bson.A{}}}),
	"createRole": command(bson.D{{Key: "createRole", Value: "x"}, {Key: "privileges", Value: bson.A{}}, {Key: "roles", Value: bson.A{}}}),
	"grant":      command(bson.D{{Key: "grantRolesToUser", Value: "readonly"}, {Key: "roles", Value: bson.A{"dbOwner"}}}),
	"password":   command(bson.D{{Key: "updateUser", Value: "edge"}, {Key: "pwd", Value: "x"}}),
	"usersInfo":  command(bson.D{{Key: "usersInfo", Value: 1}}),
	"profile":    command(bson.D{{Key: "profile", Value: 2}}),
	"copy into what is private": func(ctx context.Context, d *mongo.Database) error {
		_, err := d.Collection("things").Aggregate(ctx, bson.A{bson.D{{Key: "$out", Value: bson.D{{Key: "db", Value: "rights_private"}, {Key: "coll", Value: "stolen"}}}}})
		return err
	},
}

func command(c bson.D) func(context.Context, *mongo.Database) error {
	return func(ctx context.Context, d *mongo.Database) error { return d.RunCommand(ctx, c).Err() }
}

func isRefused(err error) bool {
	server, ok := errors.AsType[mongo.ServerError](err)
	return ok && server.HasErrorCode(codeUnauthorized)
}

// TestWithAccessControl has one replica set for many tests, with a database for each.
func TestWithAccessControl(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Auth: true})
	for name, test := range map[string]func(*testing.T, *mongodbtest.Set){
		"every user may do what it should and nothing else": everyUserMayDoWhatItShouldAndNothingElse,
		"nobody may touch the server itself":                nobodyMayTouchTheServerItself,
		"making again leaves users and mends roles":         makingAgainLeavesUsersAndMendsRoles,
		"rotating changes one password alone":               rotatingChangesOnePasswordAlone,
		"edges on one set know nothing of one another":      edgesOnOneSetKnowNothingOfOneAnother,
		"who may only make users makes them":                whoMayOnlyMakeUsersMakesThem,
		"the store works as its user":                       theStoreWorksAsItsUser,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, set)
		})
	}
}

func everyUserMayDoWhatItShouldAndNothingElse(t *testing.T, set *mongodbtest.Set) {
	fill(t, open(t, set.URI()), "rights")
	clients := makeAll(t, Options{AdminURI: set.URI(), Database: "rights"}).as(t)
	look := strings.Fields("find count watch listCollections listIndexes collStats dbStats")
	write := append(strings.Fields("insert update remove create collMod"), look...)
	write = append(write, "index and drop")
	all := append([]string{"validate", "copy into what is private"}, write...)
	may := map[string]map[string][]string{
		Edge:      {"rights": all, "rights_private": all},
		Functions: {"rights_functions": append([]string{"dropCollection"}, write...)},
		ReadOnly:  {"rights": look, "rights_functions": look},
	}
	for name, client := range clients {
		for _, database := range []string{"rights", "rights_private", "rights_functions", "rights-payroll", "admin", "config", "local"} {
			for deed, do := range deeds {
				err := do(t.Context(), client.Database(database))
				if slices.Contains(may[name][database], deed) {
					if err != nil && !(deed == "create" && strings.Contains(err.Error(), "already exists")) {
						t.Errorf("%s can't %s in %s: %v", name, deed, database, err)
					}
				} else if !isRefused(err) {
					t.Errorf("%s may %s in %s: %v", name, deed, database, err)
				}
			}
		}
		found, err := client.ListDatabaseNames(t.Context(), bson.D{})
		if want := slices.Collect(maps.Keys(may[name])); err != nil || !equalSets(found, want) {
			t.Errorf("%s sees the databases %v, %v, and not %v", name, found, err, want)
		}
	}
}

func equalSets(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func nobodyMayTouchTheServerItself(t *testing.T, set *mongodbtest.Set) {
	clients := makeAll(t, Options{AdminURI: set.URI(), Database: "server"}).as(t)
	for name, client := range clients {
		for _, c := range []string{"shutdown", "replSetStepDown", "replSetGetConfig", "serverStatus", "getLog", "fsync", "getCmdLineOpts", "killAllSessions", "currentOp"} {
			if err := client.Database("admin").RunCommand(t.Context(), bson.D{{Key: c, Value: 1}}).Err(); !isRefused(err) {
				t.Errorf("%s may %s: %v", name, c, err)
			}
		}
		stream, err := client.Watch(t.Context(), mongo.Pipeline{})
		if err == nil {
			stream.Close(t.Context())
		}
		if !isRefused(err) {
			t.Errorf("%s may watch all databases: %v", name, err)
		}
	}
}

func makingAgainLeavesUsersAndMendsRoles(t *testing.T, set *mongodbtest.Set) {
	admin := open(t, set.URI())
	first := makeAll(t, Options{AdminURI: set.URI(), Database: "again"})
	if !first.First || first.Open || len(first.Users) != 3 || len(first.Warnings) != 0 {
		t.Errorf("%+v", first)
	}
	for _, c := range []bson.D{
		{{Key: "updateRole", Value: "readonly"}, {Key: "privileges", Value: bson.A{}}, {Key: "roles", Value: bson.A{"readWrite"}}},
		{{Key: "grantRolesToUser", Value: "readonly"}, {Key: "roles", Value: bson.A{"dbAdmin"}}},
		{{Key: "revokeRolesFromUser", Value: "edge"}, {Key: "roles", Value: bson.A{"edge"}}},
	} {
		if err := admin.Database("again").RunCommand(t.Context(), c).Err(); err != nil {
			t.Fatal(err)
		}
	}
	again := makeAll(t, Options{AdminURI: set.URI(), Database: "again"})
	for _, u := range again.Users {
		if u.Outcome != Kept || u.Password != "" {
			t.Errorf("%+v", u)
		}
	}
	if again.First || len(again.Warnings) != 1 || !strings.Contains(again.Warnings[0], `revokeRolesFromUser("readonly", [{"role":"dbAdmin","db":"again"}])`) {
		t.Errorf("%+v", again)
	}
	clients := first.as(t) // with the passwords of the first time
	if err := deeds["insert"](t.Context(), clients[Edge].Database("again")); err != nil {
		t.Errorf("edge lacks its role: %v", err)
	}
	if err := deeds["insert"](t.Context(), clients[ReadOnly].Database("again")); !isRefused(err) {
		t.Errorf("readonly's role is as somebody has changed it: %v", err)
	}
}

func rotatingChangesOnePasswordAlone(t *testing.T, set *mongodbtest.Set) {
	if _, err := Rotate(t.Context(), Options{AdminURI: set.URI(), Database: "rotating"}, Edge); err == nil || !strings.Contains(err.Error(), "make the users first") {
		t.Errorf("before there are users: %v", err)
	}
	first := makeAll(t, Options{AdminURI: set.URI(), Database: "rotating"})
	rotated, err := Rotate(t.Context(), Options{AdminURI: set.URI(), Database: "rotating"}, Edge)
	if err != nil || len(rotated.Users) != 1 || rotated.First {
		t.Fatalf("%+v, %v", rotated, err)
	}
	works := func(u User) error {
		return open(t, u.Whole()).Database("rotating").RunCommand(t.Context(), bson.D{{Key: "ping", Value: 1}}).Err()
	}
	if err := works(rotated.Users[0]); err != nil || rotated.Users[0].Outcome != Rotated {
		t.Errorf("the new password: %v", err)
	}
	if err := works(first.Users[0]); err == nil {
		t.Error("the old password still logs in")
	}
	for _, u := range first.Users[1:] {
		if err := works(u); err != nil {
			t.Errorf("the password of %s: %v", u.Name, err)
		}
	}
	if _, err := Rotate(t.Context(), Options{AdminURI: set.URI(), Database: "rotating"}, "admin"); !errors.Is(err, fault.Invalid) {
		t.Errorf("a user of somebody else: %v", err)
	}
}

func edgesOnOneSetKnowNothingOfOneAnother(t *testing.T, set *mongodbtest.Set) {
	makeAll(t, Options{AdminURI: set.URI(), Database: "production"})
	fill(t, open(t, set.URI()), "production")
	other := makeAll(t, Options{AdminURI: set.URI(), Database: "staging"})
	if !other.First {
		t.Error("the second one is not the first of its database")
	}
	client := other.as(t)[Edge]
	if err := deeds["insert"](t.Context(), client.Database("staging_private")); err != nil {
		t.Error(err)
	}
	if err := deeds["find"](t.Context(), client.Database("production")); !isRefused(err) {
		t.Errorf("staging reads the other's: %v", err)
	}
}

func TestAUserLogsInByItsCertificate(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Auth: true, TLS: true})
	makeAll(t, Options{AdminURI: set.URI()})
	o := Options{AdminURI: set.URI(), Subjects: map[string][]string{Edge: {set.TLS().ClientSubject, "CN=second host,O=tests"}}}
	made := makeAll(t, o)
	if len(made.Users) != 4 || len(made.Warnings) != 1 || !strings.Contains(made.Warnings[0], `dropUser("edge")`) {
		t.Errorf("%+v", made)
	}
	u := made.Users[0]
	uri := strings.Replace(u.Whole(), certificateFile(Edge), url.QueryEscape(set.TLS().ClientFile), 1)
	client := open(t, uri)
	if err := deeds["insert"](t.Context(), client.Database("edge_private")); err != nil || u.Outcome != Created || u.Password != "" {
		t.Errorf("%+v: %v", u, err)
	}
	if err := deeds["find"](t.Context(), client.Database("payroll")); !isRefused(err) {
		t.Errorf("the certificate may read the payroll: %v", err)
	}
	tryEngine(t, mongodb.Options{URI: uri})
	if again := makeAll(t, o); again.Users[0].Outcome != Kept || again.Users[1].Outcome != Kept {
		t.Errorf("again: %+v", again)
	}
}

func whoMayOnlyMakeUsersMakesThem(t *testing.T, set *mongodbtest.Set) {
	admin := open(t, set.URI())
	for name, role := range map[string]string{"maker": "userAdminAnyDatabase", "other": "readWriteAnyDatabase"} {
		c := bson.D{{Key: "createUser", Value: name}, {Key: "pwd", Value: "s3cr:t/of it"}, {Key: "roles", Value: bson.A{role}}}
		if err := admin.Database("admin").RunCommand(t.Context(), c).Err(); err != nil {
			t.Fatal(err)
		}
	}
	uri := func(name, password string) string { return set.URIFor(name, password, "admin") }
	o := Options{AdminURI: uri("maker", "s3cr:t/of it"), Database: "maker", Subjects: map[string][]string{ReadOnly: {"CN=reader"}}}
	if made := makeAll(t, o); len(made.Users) != 3 {
		t.Errorf("%+v", made)
	}
	for password, want := range map[string]string{"s3cr:t/of it": "userAdminAnyDatabase", "wr0ng%&": "does not accept the admin \"other\""} {
		_, err := Make(t.Context(), Options{AdminURI: uri("other", password)})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), url.QueryEscape(password)) {
			t.Errorf("%q: %v", password, err)
		}
	}
	nameless, err := url.Parse(set.URI())
	if err != nil {
		t.Fatal(err)
	}
	nameless.User, nameless.RawQuery = nil, ""
	if _, err := Make(t.Context(), Options{AdminURI: nameless.String()}); err == nil || !strings.Contains(err.Error(), "asks for a user") {
		t.Errorf("without a user: %v", err)
	}
}

func TestASetWithoutAccessControlIsSaidToBeOpen(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{})
	if made := makeAll(t, Options{AdminURI: set.URI()}); !made.Open || len(made.Users) != 3 {
		t.Errorf("%+v", made)
	}
}

func TestWhatIsNoReplicaSetIsRefusedWithWhatToDo(t *testing.T) {
	t.Parallel()
	member := mongodbtest.StartStandalone(t)
	for _, uri := range []string{member.URI(), "mongodb://" + member.Addr(), "mongodb://" + member.Addr() + "/?replicaSet=rs0"} {
		if _, err := Make(t.Context(), Options{AdminURI: uri}); err == nil || !strings.Contains(err.Error(), "rs.initiate()") {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestAServerThatDoesNotAnswerIsGivenUpInTime(t *testing.T) {
	t.Parallel()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	gone, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone.Close()
	var asking sync.WaitGroup
	for _, address := range []net.Addr{silent.Addr(), gone.Addr()} {
		asking.Go(func() {
			began := time.Now()
			_, err := Make(t.Context(), Options{AdminURI: fmt.Sprintf("mongodb://admin:secret@%s/", address)})
			if !errors.Is(err, fault.Unavailable) || !strings.Contains(err.Error(), "can't be reached") || strings.Contains(err.Error(), "secret") {
				t.Error(err)
			}
			if took := time.Since(began); took > reachWithin+closeWithin+5*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
	asking.Wait()
}

// tryEngine does with a store what edge does.
func tryEngine(t *testing.T, o mongodb.Options) {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	s, err := mongodb.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ctx := t.Context()
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	check("ready", s.Ready(ctx))
	all := []store.Collection{
		{Name: "engine-things", Indexes: []store.Index{{Fields: []string{"a"}}, {Fields: []string{"b"}, Unique: true}}, Expire: "until", Feed: time.Hour},
		{Name: "engine-keys", Private: true, Indexes: []store.Index{{Fields: []string{"a"}}}},
	}
	check("ensure", s.Ensure(ctx, all...))
	all[0].Indexes = all[0].Indexes[1:] // one has to go
	check("ensure again", s.Ensure(ctx, all...))
	feed, err := s.Watch(ctx, "engine-things", "")
	check("watch", err)
	var writes []store.Write
	for _, c := range all { // one transaction over both databases
		writes = append(writes,
			store.Insert{Collection: c.Name, Document: store.Document{"id": "1", "a": 1}},
			store.Put{Collection: c.Name, Document: store.Document{"id": "2", "a": 2}},
			store.Update{Collection: c.Name, Change: store.Change{Add: map[string]int64{"a": 1}}, Must: 2},
			store.Delete{Collection: c.Name, Filter: store.ID("2"), Must: 1})
	}
	_, err = s.Apply(ctx, writes...)
	check("apply", err)
	if err == nil {
		e, err := feed.Next(ctx)
		check("next", err)
		check("close", feed.Close())
		if e.ID != "1" {
			t.Errorf("%+v", e)
		}
	}
	for _, c := range all {
		_, err = s.Claim(ctx, store.Query{Collection: c.Name}, store.Change{Set: store.Document{"a": store.Now(0)}})
		check("claim", err)
		n, err := s.Count(ctx, c.Name, nil)
		check("count", err)
		_, err = s.Find(ctx, store.Query{Collection: c.Name, Limit: 10, Filter: store.Related{Field: "a", Collection: c.Name}})
		check("find", err)
		if n != 1 {
			t.Errorf("%d documents in %s", n, c.Name)
		}
	}
	found, err := s.Collections(ctx)
	check("collections", err)
	if len(found) != len(all) {
		t.Errorf("collections: %v", found)
	}
	check("check", s.Check(ctx))
}

func theStoreWorksAsItsUser(t *testing.T, set *mongodbtest.Set) {
	u := makeAll(t, Options{AdminURI: set.URI(), Database: "engine"}).Users[0]
	tryEngine(t, mongodb.Options{URI: u.URI, User: u.Login, Password: u.Password})
	s, err := mongodb.Open(mongodb.Options{URI: u.Whole(), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ready(t.Context()); err != nil {
		t.Errorf("with the password in the URI: %v", err)
	}
}
