package fault

import (
	"errors"
	"fmt"
	"testing"
)

func TestACodeIsFoundInWhatWrapsIt(t *testing.T) {
	err := fmt.Errorf("delivery 1: %w", errors.Join(errors.New("disk"), fmt.Errorf("find: %w", NotFound)))
	if CodeOf(err) != NotFound || !errors.Is(err, NotFound) || errors.Is(err, Conflict) {
		t.Errorf("%v has the code %q", err, CodeOf(err))
	}
	if CodeOf(errors.New("disk")) != "" || CodeOf(nil) != "" {
		t.Error("an error without a code has one")
	}
}

func TestACodeSaysItselfAndItsStatus(t *testing.T) {
	for code, want := range map[Code]string{
		Invalid: "400 invalid", Unauthorized: "401 unauthorized", Forbidden: "403 forbidden", NotFound: "404 not found", Conflict: "409 conflict",
		TooLarge: "413 too large", TooMany: "429 too many", Unavailable: "503 unavailable", "": "500 ",
	} {
		if got := fmt.Sprintf("%d %v", code.Status(), error(code)); got != want {
			t.Errorf("%q is %q, want %q", string(code), got, want)
		}
	}
}
