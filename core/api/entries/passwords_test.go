package entries

import (
	"strings"
	"testing"

	"github.com/onehost/edge/core/store/storetest"
)

func TestOneRequestHasFewPasswordsHashed(t *testing.T) {
	d := newDesk(t, storetest.NewMemory())
	many := strings.TrimSuffix(strings.Repeat(`{"head": "h", "lock": "secret"},`, maxPasswords), ",")
	d.create(t, d.article, anything, `{"title": "one", "seos": [%s]}`, many)
	_, err := d.Create(patient(t), d.article, sent(t, `{"title": "two", "secret": "one more", "seos": [%s]}`, many), anything)
	if err == nil || err.Error() != "There are more than 10 passwords in one request" {
		t.Error(err)
	}
}
