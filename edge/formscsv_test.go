package main

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/onehost/edge/core/forms/submissions"
	"github.com/onehost/edge/edge/internal/admin"
)

// exported is what an export of submissions is, read again.
func exported(t *testing.T, all ...admin.Submission) [][]string {
	t.Helper()
	names := newColumns()
	for _, s := range all {
		if err := names.count(s); err != nil {
			t.Fatal(err)
		}
	}
	var out bytes.Buffer
	err := exportCSV(names.header(), func(each func(admin.Submission) error) error {
		for _, s := range all {
			if err := each(s); err != nil {
				return err
			}
		}
		return nil
	}, &out)
	rows, errRead := csv.NewReader(&out).ReadAll()
	if err != nil || errRead != nil {
		t.Fatal(err, errRead)
	}
	return rows
}

func TestAnExportIsNoWiderThanASpreadsheetWhateverVisitorsMadeUp(t *testing.T) {
	all := []admin.Submission{
		{ID: "1", State: submissions.Done, Fields: []admin.Field{{Name: "name", Value: "Ann"}, {Name: "tag", Value: "a"}, {Name: "tag", Value: "b"}}},
		{ID: "2", State: submissions.Done, Fields: []admin.Field{{Name: "name", Value: "Bob"}, {Name: "zz", Value: "rare"}}},
	}
	rows := exported(t, all...)
	if !slices.Equal(rows[0], []string{"id", "sent", "state", "name", "tag", "zz"}) || !slices.Equal(rows[1][3:], []string{"Ann", "a, b", ""}) {
		t.Errorf("%q", rows)
	}
	for n := range 50 {
		s := admin.Submission{ID: fmt.Sprint("flood", n)}
		for i := range 200 {
			s.Fields = append(s.Fields, admin.Field{Name: fmt.Sprintf("made up %d", n*200+i), Value: "x"})
		}
		all = append(all, s)
	}
	rows = exported(t, all...)
	last := len(rows[0]) - 1
	if last != 3+mostColumns || rows[0][last] != "(others)" || !slices.Contains(rows[0], "name") || !slices.Contains(rows[2], "Bob") || rows[2][last] != "zz: rare" {
		t.Errorf("%d columns: %q", last+1, rows[2])
	}
}

func TestNothingInATableIsAFormulaOrTalksToATerminal(t *testing.T) {
	for sent, want := range map[string]string{
		"=1": "'=1", "\x01=1": "'=1", "\n=1": "'\n=1", "＝1": "'＝1", "a\x1b[2J\u009bm\r\nb": "a[2Jm\nb", "": "", "é=1": "é=1",
	} {
		if rows := exported(t, admin.Submission{Fields: []admin.Field{{Name: sent + "x", Value: sent}}}); rows[1][3] != want || strings.ContainsAny(rows[0][3], "\x1b\r\u009b") {
			t.Errorf("%q: %q", sent, rows)
		}
	}
}
