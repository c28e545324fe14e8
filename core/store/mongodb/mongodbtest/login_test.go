package mongodbtest

import (
	"crypto/tls"
	"net/url"
	"strings"
	"testing"

	"go.mongodb.org/mongo-driver/v2/bson"
)

// whoAmI returns the names of the users that a URI logs in as.
func whoAmI(t *testing.T, uri string) (names []string, err error) {
	t.Helper()
	var status struct {
		AuthInfo struct{ AuthenticatedUsers []struct{ User string } }
	}
	err = open(t, uri).Database("admin").RunCommand(t.Context(), bson.D{{Key: "connectionStatus", Value: 1}}).Decode(&status)
	for _, user := range status.AuthInfo.AuthenticatedUsers {
		names = append(names, user.User)
	}
	return names, err
}

func TestASetWithUsersRefusesWhoIsNone(t *testing.T) {
	t.Parallel()
	set := Start(t, Options{Members: 3, Auth: true})
	for _, m := range set.Members() {
		if got, err := whoAmI(t, m.URI()); len(got) != 1 || got[0] != adminName || err != nil {
			t.Errorf("%s knows the admin as %q, %v", m.Addr(), got, err)
		}
	}
	if _, err := whoAmI(t, set.URIFor("nobody", "at/all", "admin")); err == nil || !strings.Contains(err.Error(), "AuthenticationFailed") {
		t.Errorf("an unknown user: %v", err)
	}
	nameless, err := url.Parse(set.Members()[0].URI())
	if err != nil {
		t.Fatal(err)
	}
	nameless.User = nil
	if _, err := open(t, nameless.String()).Database("a").Collection("things").InsertOne(t.Context(), bson.D{}); err == nil || !strings.Contains(err.Error(), "requires authentication") {
		t.Errorf("without a user: %v", err)
	}
	createUser(t, set, "a", bson.D{{Key: "createUser", Value: "some@one"}, {Key: "pwd", Value: "p/w:ä"}, {Key: "roles", Value: bson.A{"read"}}})
	if got, err := whoAmI(t, set.URIFor("some@one", "p/w:ä", "a")); len(got) != 1 || err != nil {
		t.Errorf("a user that was created: %q, %v", got, err)
	}
}

func createUser(t *testing.T, set *Set, database string, command bson.D) {
	t.Helper()
	if err := open(t, set.URI()).Database(database).RunCommand(t.Context(), command).Err(); err != nil {
		t.Fatal(err)
	}
}

func TestAClientLogsInWithItsCertificateAndOnlyOverTLS(t *testing.T) {
	t.Parallel()
	set := Start(t, Options{Auth: true, TLS: true})
	if _, err := whoAmI(t, set.X509URI()); err == nil {
		t.Error("a certificate logged in before its user was created")
	}
	createUser(t, set, "$external", bson.D{{Key: "createUser", Value: set.TLS().ClientSubject}, {Key: "roles", Value: bson.A{bson.D{{Key: "role", Value: "read"}, {Key: "db", Value: "a"}}}}})
	if got, err := whoAmI(t, set.X509URI()); len(got) != 1 || got[0] != set.TLS().ClientSubject || err != nil {
		t.Errorf("a certificate logs in as %q, %v", got, err)
	}
	connection, err := tls.Dial("tcp", set.Members()[0].Addr(), &tls.Config{InsecureSkipVerify: true})
	if err != nil {
		t.Fatalf("it speaks no TLS: %v", err)
	}
	connection.Close()
	if _, err := whoAmI(t, "mongodb://"+set.Members()[0].Addr()+"/?directConnection=true&serverSelectionTimeoutMS=1000"); err == nil {
		t.Error("it speaks without TLS")
	}
}
