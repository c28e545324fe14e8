package uploads

import "testing"

func TestADiskIsNotFilledToTheLast(t *testing.T) {
	h := newHouse(t, nil)
	h.now.Load().spare = 1 << 62
	h.wantRefusal(t, 507, "no space", form(t, "/upload", field{"files", "a.txt", "hello"}))
	h.now.Load().spare = 0
	h.send(t, form(t, "/upload", field{"files", "a.txt", "hello"}))
}
