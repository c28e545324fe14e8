package mongodb

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/onehost/edge/core/fault"
)

func TestAURIThatCanNotBeMeantIsRefusedWithoutItsPassword(t *testing.T) {
	for _, o := range []Options{
		{}, {URI: "localhost"}, {URI: "http://localhost"}, {URI: "mongodb://"}, {URI: "mongodb:///edge"}, {URI: "mongodb://u:s3cret@"}, {URI: "mongodb://u:s3cret@:0"},
		{URI: "mongodb://u:s3cret@host:port/"}, {URI: "mongodb://u:s3cret:x@host/"}, {URI: "mongodb://u:s3cret%zz@host/"}, {URI: "mongodb://u:a/s3cret@host/"},
		{URI: "mongodb://u:s3cret@host/a.b"}, {URI: "mongodb://u:s3cret@host/admin"}, {URI: "mongodb://u:s3cret@host/?w=1"}, {URI: "mongodb://u:s3cret@host/?retryWrite=true"}, {URI: "mongodb://u:s3cret@host/?readPreference=nearest"},
		{URI: "mongodb://u:s3cret@host/?authMechanism=NONE"}, {URI: "mongodb://u:s3cret@host/?tls=maybe"}, {URI: "mongodb+srv://u:s3cret@a,b/"}, {URI: "mongodb+srv://u:s3cret@a:1/"},
		{URI: "mongodb://host", Password: "s3cret"}, {URI: "mongodb://host/?tls=true&tlsCAFile=/nowhere/ca.pem", User: "u", Password: "s3cret"},
		{URI: "mongodb://host/" + strings.Repeat("a", 51)}, {URI: "mongodb://host/Admin"}, {URI: "mongodb://host/edge_private"}, {URI: "mongodb://host/edge_FUNCTIONS?tls=true"},
		{URI: "mongodb://u:p@s3cret@host/"}, {URI: "mongodb://u:p@s3cret/x@host/"}, {URI: "mongodb://u:p/@host/s3cret@host"}, {URI: "mongodb://u:%zzs3cret@host/"},
		{URI: "mongodb://host/?authMechanism=MONGODB-X509&tls=true", User: "u", Password: "s3cret"}, {URI: "mongodb://host:port/", User: "u", Password: "s3cret"},
	} {
		o.Log = slog.New(slog.DiscardHandler)
		s, err := Open(o)
		if err == nil {
			s.Close()
		}
		if fault.CodeOf(err) != fault.Invalid || strings.Contains(errorText(err), "s3cret") {
			t.Errorf("%s: %v, want invalid, and no password", o.URI, err)
		}
	}
}

func TestAURINamesTheDatabaseAndTheUser(t *testing.T) {
	for _, test := range []struct {
		o                          Options
		database, user, authSource string
	}{
		{Options{URI: "mongodb://host"}, "edge", "", ""},
		{Options{URI: "mongodb://host1,host2:27018/?replicaSet=rs0"}, "edge", "", ""},
		{Options{URI: "mongodb://u:p@host/mine"}, "mine", "u", "mine"},
		{Options{URI: "mongodb://u:p@host/mine?authSource=admin", User: "other", Password: "q"}, "mine", "other", "admin"},
		{Options{URI: "mongodb://host/mine", User: "other", Password: "q"}, "mine", "other", "mine"},
		{Options{URI: "mongodb://host/", User: "other", Password: "q"}, "edge", "other", "admin"},
		{Options{URI: "mongodb://edge1", User: "other", Password: "q"}, "edge", "other", "admin"},
		{Options{URI: "mongodb://host/mine?authSource=admin", User: "other", Password: "q"}, "mine", "other", "admin"},
		{Options{URI: "mongodb://host/mine?authMechanism=SCRAM-SHA-256", User: "other", Password: "q"}, "mine", "other", "mine"},
		{Options{URI: "mongodb://host/mine?authMechanism=MONGODB-X509&tls=true", User: "CN=edge,O=x"}, "mine", "CN=edge,O=x", "$external"},
		{Options{URI: "mongodb://u:p@host/mine", User: "o:t@h/e?r", Password: "q:@/?%+& €"}, "mine", "o:t@h/e?r", "mine"},
		{Options{URI: "mongodb://%C3%A9:p%3F?p@host/mine_private1"}, "mine_private1", "é", "mine_private1"},
	} {
		a, err := parseAddress(test.o)
		if err != nil {
			t.Errorf("%+v: %v", test.o, err)
			continue
		}
		o, err := a.options()
		if err != nil {
			t.Fatal(err)
		}
		var user, source string
		if o.Auth != nil {
			user, source = o.Auth.Username, o.Auth.AuthSource
		}
		if a.user != test.user || a.hosts == "" || strings.ContainsAny(a.hosts, "@?/") || test.o.Password != "" && o.Auth.Password != test.o.Password {
			t.Errorf("%+v: the user %q of %q, password %q", test.o, a.user, a.hosts, o.Auth.Password)
		}
		if a.database != test.database || user != test.user || source != test.authSource {
			t.Errorf("%+v: database %q, user %q of %q", test.o, a.database, user, source)
		}
	}
}

func TestANameServerThatIsAwayIsUnavailable(t *testing.T) {
	s := open(t, "mongodb+srv://there.is.invalid/")
	if err := s.Ready(t.Context()); fault.CodeOf(err) != fault.Unavailable {
		t.Errorf("%v, want unavailable", err)
	}
}
