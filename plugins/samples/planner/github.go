package main

import (
	"fmt"
	"strings"

	"github.com/onehost/edge/plugins/sdk"
)

// githubEvent is what is of use here of GitHub's payloads (https://docs.github.com/webhooks/webhook-events-and-payloads).
type githubEvent struct {
	Action     string
	Ref        string
	Zen        string
	Repository *struct {
		FullName string `json:"full_name"`
	}
	Commits []struct{}
	Issue   *struct {
		Number int
		Title  string
	}
	Sender struct{ Login string }
}

// github keeps what happened to a repository.
func (p planner) github(ctx sdk.Context, d *sdk.Delivery) sdk.Result {
	var event githubEvent
	if err := d.JSON(&event); err != nil {
		return sdk.From(err)
	}
	kind := d.Header.Get("X-GitHub-Event")
	if kind == "ping" {
		return sdk.Skip("a ping: " + event.Zen)
	}
	if event.Repository == nil || event.Repository.FullName == "" {
		return sdk.Skip("it is about no repository")
	}
	ctx.Log().Info("github", "event", kind, "repository", event.Repository.FullName)
	return sdk.From(p.seen(ctx, "repository/"+event.Repository.FullName, "github/"+kind,
		happening{ID: d.ID, Kind: kind, At: d.Received, Summary: event.summary(kind)}))
}

// summary is the event in a line.
func (e githubEvent) summary(kind string) string {
	switch {
	case kind == "push":
		return fmt.Sprintf("%s pushed %d commits to %s", e.Sender.Login, len(e.Commits), strings.TrimPrefix(e.Ref, "refs/heads/"))
	case kind == "issues" && e.Issue != nil:
		return fmt.Sprintf("%s %s #%d: %s", e.Sender.Login, e.Action, e.Issue.Number, e.Issue.Title)
	}
	return strings.TrimSpace(e.Sender.Login + " " + e.Action)
}
