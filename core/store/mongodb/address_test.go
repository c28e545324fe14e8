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
		{URI: "mongodb://u:s3cret@host/a.b"}, {URI: "mongodb://u:s3cret@host/admin"}, {URI: "mongodb://u:s3cret@host/?w=1"}, {URI: "mongodb://u:s3cret@host/?readPreference=nearest"},
		{URI: "mongodb://u:s3cret@host/?authMechanism=NONE"}, {URI: "mongodb://u:s3cret@host/?tls=maybe"}, {URI: "mongodb+srv://u:s3cret@a,b/"}, {URI: "mongodb+srv://u:s3cret@a:1/"},
		{URI: "mongodb://host", Password: "s3cret"}, {URI: "mongodb://host/?tls=true&tlsCAFile=/nowhere/ca.pem", User: "u", Password: "s3cret"},
		{URI: "mongodb://host/" + strings.Repeat("a", 51)},
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
		{Options{URI: "mongodb://host/", User: "other", Password: "q"}, "edge", "other", ""},
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
