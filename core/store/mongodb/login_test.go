package mongodb

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// createUser creates a user who may read and write the databases.
func createUser(t *testing.T, set *mongodbtest.Set, in string, user bson.E, password string, databases ...string) {
	t.Helper()
	roles := bson.A{}
	for _, database := range databases {
		roles = append(roles, bson.D{{Key: "role", Value: "readWrite"}, {Key: "db", Value: database}})
	}
	command := bson.D{user, {Key: "roles", Value: roles}}
	if password != "" {
		command = append(command, bson.E{Key: "pwd", Value: password})
	}
	admin := open(t, set.URI())
	err := admin.run(t.Context(), "creating a user", func(ctx context.Context, client *mongo.Client) error {
		return client.Database(in).RunCommand(ctx, command).Err()
	})
	if err != nil {
		t.Fatal(err)
	}
}

// works fails the test unless the store can be used.
func works(t *testing.T, s *Store) {
	t.Helper()
	if err := s.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Ensure(t.Context(), store.Collection{Name: "things", Feed: 1, Expire: "e"}, store.Collection{Name: "secrets", Private: true}); err != nil {
		t.Fatal(err)
	}
	feed, err := s.Watch(t.Context(), "things", "")
	if err != nil {
		t.Fatal(err)
	}
	defer feed.Close()
	writes := []store.Write{store.Put{Collection: "things", Document: store.Document{"id": "1"}}, store.Put{Collection: "secrets", Document: store.Document{"id": "1"}}}
	if _, err := s.Apply(t.Context(), writes...); err != nil {
		t.Fatal(err)
	}
	if event, err := feed.Next(t.Context()); err != nil || event.ID != "1" {
		t.Errorf("%+v, %v", event, err)
	}
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAUserWithTwoDatabasesIsEnough(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Auth: true})
	name := bson.E{Key: "createUser", Value: "edge"}
	createUser(t, set, "edge", name, "p@ss word", "edge", "edge_private")
	works(t, open(t, mongodbtest.In(t, set.URIFor("edge", "p@ss word", "edge"), "edge")))

	createUser(t, set, "admin", name, "of the admin's", "edge", "edge_private")
	for uri, password := range map[string]string{"/edge?authSource=admin": "of the admin's", "/edge?authSource=edge": "p@ss word", "/edge": "p@ss word", "/": "of the admin's"} {
		s, err := Open(Options{URI: "mongodb://" + set.Members()[0].Addr() + uri, User: "edge", Password: password, Log: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Ready(t.Context()); err != nil {
			t.Errorf("%s and a user beside it: %v", uri, err)
		}
		s.Close()
	}

	wrong := open(t, mongodbtest.In(t, set.URIFor("edge", "wrong pass", "edge"), "edge"))
	if err := wrong.Ready(t.Context()); fault.CodeOf(err) != "" || !strings.Contains(errorText(err), "does not accept the user") || strings.Contains(errorText(err), "wrong pass") {
		t.Errorf("with a wrong password: %v", err)
	}
	createUser(t, set, "edge", bson.E{Key: "createUser", Value: "half"}, "p", "edge")
	half := open(t, mongodbtest.In(t, set.URIFor("half", "p", "edge"), "edge"))
	err := half.Ready(t.Context())
	if fault.CodeOf(err) != "" || !strings.Contains(errorText(err), `"half" lacks the right to find in the database edge_private`) || !strings.Contains(errorText(err), "edge store init") {
		t.Errorf("with a right missing: %v", err)
	}
	err = half.Ensure(t.Context(), store.Collection{Name: "secrets", Private: true})
	if fault.CodeOf(err) != "" || !strings.Contains(errorText(err), "edge store init") {
		t.Errorf("with a right missing: %v", err)
	}
}

func TestACertificateLogsIn(t *testing.T) {
	t.Parallel()
	set := mongodbtest.Start(t, mongodbtest.Options{Auth: true, TLS: true})
	createUser(t, set, "$external", bson.E{Key: "createUser", Value: set.TLS().ClientSubject}, "", "edge", "edge_private")
	works(t, open(t, mongodbtest.In(t, set.X509URI(), "edge")))
	if err := open(t, "mongodb://"+set.Members()[0].Addr()).Ready(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("without TLS: %v, want unavailable", err)
	}
}

func TestAStandaloneIsRefusedWithWhatConvertsIt(t *testing.T) {
	t.Parallel()
	member := mongodbtest.StartStandalone(t)
	s := open(t, "mongodb://"+member.Addr())
	if err := s.Ready(t.Context()); fault.CodeOf(err) != "" || !strings.Contains(errorText(err), "--replSet") || !strings.Contains(errorText(err), "rs.initiate()") {
		t.Errorf("Ready: %v", err)
	}
	if err := s.Ensure(t.Context(), store.Collection{Name: "things"}); !strings.Contains(errorText(err), "rs.initiate()") {
		t.Errorf("Ensure: %v", err)
	}
}
