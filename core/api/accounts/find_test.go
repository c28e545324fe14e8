package accounts

import (
	"strconv"
	"strings"
	"testing"
)

func TestNobodyIsTakenForWhoseIDHisUsernameIs(t *testing.T) {
	d := memory(t, plain())
	boss := d.add("boss", "")
	d.add(boss.DocumentID, "")
	if err := d.SetRole(patient(t), boss.DocumentID, "authenticated"); err == nil || !strings.Contains(err.Error(), "boss@") {
		t.Errorf("by a document id that is a username: %v", err)
	}
	for _, who := range []string{"boss", strconv.FormatInt(boss.Number, 10), boss.Email} {
		if u, err := d.find(patient(t), who); err != nil || u.ID() != boss.DocumentID {
			t.Errorf("%s: %v", who, err)
		}
	}
}
