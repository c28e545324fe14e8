package main

import (
	"strings"
	"testing"

	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/webhooks/inbox"
	"github.com/onehost/edge/edge/internal/admin"
)

func TestDeliveriesThatNobodyHandlesAnyMoreNeedAPerson(t *testing.T) {
	m := &modules{}
	m.sourcesNow.Store(&map[string]config.Webhook{})
	for plugin, want := range map[string]int{"": 1, "planner": 0} {
		all := m.sourceMatters(admin.Source{Count: inbox.Count{Source: "renamed", Pending: 3}, Plugin: plugin})
		if len(all) != want || want == 1 && !strings.Contains(all[0].text, "3 deliveries wait") {
			t.Errorf("plugin %q: %v", plugin, all)
		}
	}
}
