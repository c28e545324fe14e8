package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/store/mongodb"
	"github.com/onehost/edge/core/store/mongodb/mongodbtest"
)

// storeInitWith runs edge store init with a text on standard input.
func storeInitWith(t *testing.T, in string, args ...string) (out, errOut string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	c := &cli{out: &o, err: &e}
	command := c.storeInitCommand()
	command.SilenceErrors, command.SilenceUsage = true, true
	command.SetIn(strings.NewReader(in))
	command.SetArgs(args)
	err = command.ExecuteContext(t.Context())
	return o.String(), e.String(), err
}

// storeOf reads the section store of what was printed, as the configuration of edge.
func storeOf(t *testing.T, printed string) config.Store {
	t.Helper()
	_, section, _ := strings.Cut(printed, "\nstore:\n")
	section, _, _ = strings.Cut(section, "\n\n")
	file := filepath.Join(t.TempDir(), "edge.yaml")
	text := "store:\n" + section + "\ntls: {issuers: [local]}\nhosts: {localhost: {default: {respond: {body: x}}}}\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, problems := config.Load(file, config.Env{})
	if cfg == nil {
		t.Fatalf("%s\n%v", text, problems)
	}
	return cfg.Store
}

func readyAs(t *testing.T, s config.Store) error {
	t.Helper()
	opened, err := mongodb.Open(mongodb.Options{URI: s.URI, User: s.User, Password: s.Password, Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer opened.Close()
	return opened.Ready(t.Context())
}

func TestStoreInitPrintsWhatTheConfigurationNeeds(t *testing.T) {
	set := mongodbtest.Start(t, mongodbtest.Options{Auth: true})
	out, errOut, err := storeInitWith(t, set.URI()+"\n", "--admin-uri", "-")
	if err != nil || errOut != "" {
		t.Fatalf("%v %s", err, errOut)
	}
	t.Log("\n" + out)
	s := storeOf(t, out)
	if err := readyAs(t, s); err != nil || s.User != "edge" || len(s.Key) != 32 {
		t.Errorf("%+v: %v", s, err)
	}
	for _, want := range []string{"\n  mongodb://functions:", "/edge_functions?authSource=edge", "\n  mongodb://readonly:", "Keep a copy of the key elsewhere"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}

	t.Setenv(adminURIVariable, set.URI())
	again, _, err := storeInitWith(t, "")
	if err != nil || strings.Contains(again, "password: "+s.Password) || !strings.Contains(again, "are as they were") || strings.Contains(again, "mongodb://functions") {
		t.Errorf("again: %v\n%s", err, again)
	}
	t.Log("\n" + again)
	rotated, _, err := storeInitWith(t, "", "--rotate", "edge")
	if err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + rotated)
	if strings.Contains(rotated, "mongodb://readonly") || !strings.Contains(rotated, "restart edge") {
		t.Errorf("rotated:\n%s", rotated)
	}
	if err := readyAs(t, s); err == nil {
		t.Error("the old password still logs in")
	}
	s.Password = strings.Fields(rotated[strings.Index(rotated, "password:"):])[1]
	if err := readyAs(t, s); err != nil {
		t.Errorf("the new password: %v", err)
	}
	asOnlyReader, _, err := storeInitWith(t, "", "--x509-subject", "readonly=CN=reader,O=Example", "--x509-subject", "edge=CN=host1,O=Example")
	if err != nil || !strings.Contains(asOnlyReader, "the certificate of CN=reader,O=Example") || !strings.Contains(asOnlyReader, "authMechanism=MONGODB-X509") {
		t.Errorf("certificates: %v\n%s", err, asOnlyReader)
	}
	t.Log("\n" + asOnlyReader)
	admin, _ := url.Parse(set.URI())
	password, _ := admin.User.Password()
	for _, text := range []string{out, again, rotated, asOnlyReader} {
		if strings.Contains(text, password) || strings.Contains(text, url.PathEscape(password)) {
			t.Errorf("the admin's password is in\n%s", text)
		}
	}
}

func TestStoreInitForMachines(t *testing.T) {
	set := mongodbtest.Start(t, mongodbtest.Options{})
	asJSON := func(args ...string) (said storeUsers) {
		out, errOut, err := storeInitWith(t, "", append(args, "--json", "--admin-uri", set.URI(), "--database", "shop")...)
		if err != nil || errOut != "" {
			t.Fatalf("%v %s", err, errOut)
		}
		if err := json.Unmarshal([]byte(out), &said); err != nil {
			t.Fatalf("%v in %s", err, out)
		}
		return said
	}
	said := asJSON()
	if said.Database != "shop" || said.AccessControl || len(said.Warnings) != 1 || len(said.Users) != 3 || said.Store == nil || said.Store.Key == "" {
		t.Errorf("%+v", said)
	}
	if err := readyAs(t, config.Store{URI: said.Store.URI, User: said.Store.User, Password: said.Store.Password}); err != nil {
		t.Error(err)
	}
	if again := asJSON(); again.Store.Key != "" || again.Store.Password != "" || again.Users[2].Password != "" {
		t.Errorf("again: %+v", again)
	}
	if rotated := asJSON("--rotate", "functions"); rotated.Store != nil || len(rotated.Users) != 1 || rotated.Users[0].Password == "" {
		t.Errorf("rotated: %+v", rotated)
	}
	_, errOut, err := storeInitWith(t, "", "--admin-uri", set.URI(), "--database", "shop")
	if err != nil || !strings.Contains(errOut, "warning: this MongoDB lets anybody do anything") {
		t.Errorf("%v %s", err, errOut)
	}
}

func TestStoreInitSaysWhatIsWrongWithTheCommandLine(t *testing.T) {
	t.Setenv(adminURIVariable, "")
	for _, test := range []struct {
		in, args, want string
		usage          bool
	}{
		{"", "", adminURIVariable, true},
		{"\n", "--admin-uri -", "no URI on standard input", true},
		{"", "--admin-uri mongodb://db1/ --x509-subject CN=a", "USER=SUBJECT", true},
		{"", "--admin-uri mongodb://db1/ --x509-subject edge=CN=a --rotate edge", "at once", true},
		{"", "--admin-uri mongodb://db1/ --x509-subject nobody=CN=a", "no user \"nobody\"", false},
		{"", "--admin-uri mongodb://db1/ --rotate nobody", "no user \"nobody\"", false},
		{"", "--admin-uri mongodb://db1/ --database a.b", "no name of a database", false},
		{"http://db1:secret@x/", "--admin-uri -", "mongodb://", false},
		{"mongodb://admin:se%ret@db1/", "--admin-uri -", "URI", false},
	} {
		out, errOut, err := storeInitWith(t, test.in, strings.Fields(test.args)...)
		if err == nil || !strings.Contains(err.Error(), test.want) || errors.As(err, new(*usageError)) != test.usage || out+errOut != "" || strings.Contains(err.Error(), "ret@") {
			t.Errorf("%+v: %v %s %s", test, err, out, errOut)
		}
	}
}
