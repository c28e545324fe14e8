package users

import (
	"errors"
	"strings"
	"testing"

	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/store/mongodb"
)

func TestTheDatabaseIsTheURIsOrTheOneThatIsNamed(t *testing.T) {
	for _, test := range []struct{ uri, database, want string }{
		{"mongodb://db1", "", "edge"},
		{"mongodb://db1/", "", "edge"},
		{"mongodb://admin:x@db1,db2/admin", "", "edge"},
		{"mongodb://admin:x@db1/shop?authSource=admin", "", "shop"},
		{"mongodb://admin:x@db1/shop", "other", "other"},
		{"mongodb+srv://db.example.com/?tls=false", "", "edge"},
		{"mongodb://db1/x_private", "", "!"},
		{"mongodb://db1/", "x_functions", "!"},
		{"mongodb://db1/", "admin", "!"},
		{"mongodb://db1/", "a b", "!"},
		{"mongodb://db1/", "a.b", "!"},
		{"http://db1/", "", "!"},
		{"db1", "", "!"},
		{"mongodb://db1/?loadBalanced=true", "", "!"},
	} {
		a, err := parseAddress(test.uri, test.database)
		if test.want == "!" {
			if !errors.Is(err, fault.Invalid) {
				t.Errorf("%+v is %+v, %v", test, a, err)
			}
		} else if a.database != test.want || err != nil {
			t.Errorf("%+v is %+v, %v", test, a, err)
		}
	}
}

func TestTheUsersURIsHaveNothingOfTheAdmin(t *testing.T) {
	a, err := parseAddress("mongodb://ad%40min:p%3Aw@db1/admin?authSource=x&tls=true&directConnection=true&tlsCAFile=/ca.pem&tlsCertificateKeyFile=/admin.pem&tlsCertificateKeyFilePassword=hidden&w=1", "shop")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{address: a, set: "rs 0", members: "db1:27017,db2:27017"}
	for _, test := range []struct {
		user User
		want string
	}{
		{s.newUser(Edge, Edge, "shop"), "mongodb://edge@db1:27017,db2:27017/shop?replicaSet=rs+0&tls=true&tlsCAFile=/ca.pem"},
		{s.newUser(Functions, Functions, "shop"), "mongodb://functions@db1:27017,db2:27017/shop_functions?authSource=shop&replicaSet=rs+0&tls=true&tlsCAFile=/ca.pem"},
		{s.newUser(ReadOnly, ReadOnly, "shop"), "mongodb://readonly@db1:27017,db2:27017/shop?authSource=shop&replicaSet=rs+0&tls=true&tlsCAFile=/ca.pem"},
		{s.newUser(Edge, "CN=a", external), "mongodb://db1:27017,db2:27017/shop?authMechanism=MONGODB-X509&replicaSet=rs+0&tls=true&tlsCAFile=/ca.pem&tlsCertificateKeyFile=/etc/edge/mongodb.pem"},
	} {
		if got := test.user.Whole(); got != test.want {
			t.Errorf("%s %s:\n got %s\nwant %s", test.user.Name, test.user.Login, got, test.want)
		}
	}
	if got := a.scrub("p%3Aw and p:w and hidden"); got != "… and … and …" {
		t.Errorf("what errors show: %s", got)
	}
	a, _ = parseAddress("mongodb+srv://admin:x@db.example.com/?tlsCAFile=/ca.pem", "")
	if got := (&server{address: a, set: "rs0"}).newUser(ReadOnly, ReadOnly, "edge").Whole(); got != "mongodb+srv://readonly@db.example.com/edge?authSource=edge&tlsCAFile=/ca.pem" {
		t.Error(got)
	}
}

func TestAtlasSaysHowToDoItByHand(t *testing.T) {
	a, err := parseAddress("mongodb+srv://admin:hidden@cluster0.abcde.mongodb.net/", "")
	if err != nil {
		t.Fatal(err)
	}
	text := (&server{address: a}).atlas("createRole").Error()
	for _, want := range []string{
		"refuses createRole", "atlas customDbRoles create edge-edge --privilege VALIDATE@edge,INSERT@edge,", "CREATE_COLLECTION@edge_private", "CHANGE_STREAM@edge",
		"RENAME_COLLECTION_SAME_DB@edge_functions", "--role edge-readonly@admin", "mongodb+srv://edge-edge:PASSWORD@HOST/edge",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in %s", want, text)
		}
	}
}

func FuzzAnyURIIsReadOrRefused(f *testing.F) {
	for _, seed := range []string{"mongodb://a:b@c,d/e?f=g", "mongodb+srv://a:%zz@b", "mongodb://@/?&=&tls", "mongodb://a@b:c@d/..", ""} {
		f.Add(seed, "")
		f.Add(seed, "x")
	}
	f.Fuzz(func(t *testing.T, uri, database string) {
		a, err := parseAddress(uri, database)
		if err != nil {
			return
		}
		if err := mongodb.CheckDatabase(a.database); err != nil {
			t.Errorf("%q: %v", uri, err)
		}
		for _, secret := range a.secrets {
			if len(secret) > 3 && strings.Contains(a.scrub("x"+secret+"x"), secret) {
				t.Errorf("%q is shown", secret)
			}
		}
		_ = (&server{address: a, set: "rs0", members: "db1"}).newUser(Functions, Functions, a.database).Whole()
	})
}

func TestTheEngineTakesTheURIOfEdge(t *testing.T) {
	a, err := parseAddress("mongodb://admin:x@127.0.0.1:1/?tls=true&compressors=zlib", "shop-1")
	if err != nil {
		t.Fatal(err)
	}
	u := (&server{address: a, set: "rs0", members: "127.0.0.1:1"}).newUser(Edge, Edge, "shop-1")
	s, err := mongodb.Open(mongodb.Options{URI: u.URI, User: u.Login, Password: "x"})
	if err != nil {
		t.Fatal(err)
	}
	s.Close()
}
