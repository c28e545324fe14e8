package entries

import (
	"fmt"
	"strings"
	"testing"

	"github.com/onehost/edge/core/api/changes"
	"github.com/onehost/edge/core/store/storetest"
)

func TestTheHistoryKeepsNoPasswordOfAComponent(t *testing.T) {
	d := newDesk(t, storetest.NewMemory())
	id := d.create(t, d.article, anything, `{"title": "one", "secret": "sesame", "seo": {"head": "a", "lock": "sesame"}, "seos": [{"head": "b", "lock": "sesame"}]}`)
	if _, err := d.Delete(patient(t), d.article, id, anything); err != nil {
		t.Fatal(err)
	}
	list, err := changes.List(patient(t), d.s, changes.Filter{Entry: id, Limit: 100})
	if err != nil {
		t.Fatal(err)
	}
	if kept := fmt.Sprint(list); !strings.Contains(kept, "head:b") || strings.Contains(kept, "argon2id") {
		t.Error(kept)
	}
}

func TestOneRequestHasFewPasswordsHashed(t *testing.T) {
	d := newDesk(t, storetest.NewMemory())
	many := strings.TrimSuffix(strings.Repeat(`{"head": "h", "lock": "secret"},`, maxPasswords), ",")
	d.create(t, d.article, anything, `{"title": "one", "seos": [%s]}`, many)
	_, err := d.Create(patient(t), d.article, sent(t, `{"title": "two", "secret": "one more", "seos": [%s]}`, many), anything)
	if err == nil || err.Error() != "There are more than 10 passwords in one request" {
		t.Error(err)
	}
}
