//go:build systemd

package systemd_test

import "testing"

func TestGuestNoUnitFailedAtBoot(t *testing.T) {
	eventually(t, "the boot is over", func() bool {
		state, _ := trySystemctl(t, "is-system-running")
		return state == "running" || state == "degraded"
	})
	if failed := failedUnits(t); len(failed) > 0 {
		t.Errorf("failed: %q", failed)
	}
	installed(t)
}
