package lambda

import (
	_ "embed" // the lists of packages
	"runtime"
	"testing"

	"github.com/onehost/edge/core/pypitest"
)

var (
	//go:embed testdata/python/requirements.txt
	pythonRequirements []byte
	//go:embed testdata/emulator.txt
	emulatorRequirements []byte
)

// python returns an interpreter that has awslambdaric, AWS's own runtime for Python.
func python(t *testing.T) string {
	t.Helper()
	interpreter, err := pypitest.Python(t.Context(), "awslambdaric", pythonRequirements)
	if err != nil {
		pypitest.Missing(t, "AWS runtime for Python", err)
	}
	return interpreter
}

// emulator returns AWS's runtime interface emulator.
func emulator(t *testing.T) string {
	t.Helper()
	arch := map[string]string{"amd64": "x86_64", "arm64": "arm64"}[runtime.GOARCH]
	program, err := pypitest.File(t.Context(), "aws-lambda-rie", emulatorRequirements, "aws-lambda-rie-"+arch)
	if err != nil {
		pypitest.Missing(t, "emulator of AWS", err)
	}
	return program
}
