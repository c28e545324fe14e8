package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/onehost/edge/core/webhooks/inbox"
)

// Whoever was told that a delivery has arrived is not deceived: edge is killed in the stream, again and again.
func TestAStreamOfWebhooksSurvivesKills(t *testing.T) {
	t.Parallel()
	surviveKills(t, 10, 40)
}

func TestSoakAStreamOfWebhooksSurvivesKills(t *testing.T) {
	soaking(t)
	surviveKills(t, 60, 400)
}

// surviveKills kills edge after so many deliveries more were acknowledged in each round.
func surviveKills(t *testing.T, rounds, each int) {
	o := newOutpost(t, "sqlite")
	p := provide(t)
	for range rounds {
		p.to(o.start())
		p.await(each, 200)
		if len(o.plugins()) == 0 {
			t.Error("the plugin is not seen: its end would not be either")
		}
		o.kill()
		p.to()
	}
	p.to(o.start())
	p.end()
	p.handled(o)
}

func TestReloadsUnderLoadLoseNothingAndGiveNothingTwice(t *testing.T) {
	t.Parallel()
	surviveReloads(t, 5, 20)
}

func TestSoakReloadsUnderLoadLoseNothingAndGiveNothingTwice(t *testing.T) {
	soaking(t)
	surviveReloads(t, 100, 100)
}

// surviveReloads has the plugin replaced twice in each round: by command, and by another environment.
func surviveReloads(t *testing.T, rounds, each int) {
	o := newOutpost(t, "sqlite", "timeout: 2s", "timeout: 30s")
	p := provide(t, o.start())
	pid := o.pid(0)
	for round := range rounds {
		p.await(each, 200)
		o.edge("plugins", "reload", "witness")
		pid = o.pid(pid)
		p.await(each, 200)
		o.configure("timeout: 2s", "timeout: 30s", `BUILD: "1"`, "BUILD: "+strconv.Quote("r"+strconv.Itoa(round)))
		o.edge("reload")
		pid = o.pid(pid)
	}

	o.build(os.DevNull, "#!/bin/sh\necho a broken build >&2\nexit 7\n")
	status, out, errOut := asProcess(t, o.folder, "plugins", "reload", "witness")
	if status != exitFailed || out != "" || !strings.Contains(errOut, "a broken build") {
		t.Errorf("a build that fails: %d %s%s", status, out, errOut)
	}
	p.await(each, 200)
	if now := o.pid(0); now != pid {
		t.Errorf("the plugin was %d and is %d: a build that fails takes the place of one that runs", pid, now)
	}
	p.end()
	once(t, p.handled(o))
	await(t, "the old ones are gone", func() bool { return len(o.plugins()) == 1 })
}

func TestAWatchedPluginIsReplacedByWhatOverwritesIt(t *testing.T) {
	t.Parallel()
	o := newOutpost(t, "sqlite", "timeout: 2s", "timeout: 30s", `BUILD: "1"}`, `BUILD: "1"}, watch: true`)
	built, err := witness()
	if err != nil {
		t.Fatal(err)
	}
	p := provide(t, o.start())
	pid := o.pid(0)
	p.await(30, 200)

	o.build(built, "another build")
	pid = o.pid(pid)
	p.await(30, 200)

	second := filepath.Join(o.folder, "second")
	o.build(os.DevNull, "#!/bin/sh\nRECORD="+second+" exec "+built+"\n")
	o.pid(pid)
	await(t, "the script is given some", func() bool { return len(linesOf(t, second)) > 0 })
	p.await(30, 200)
	p.end()
	o.records = append(o.records, second)
	once(t, p.handled(o))
}

func TestADeliveryThatKillsItsPluginHurtsNoOther(t *testing.T) {
	t.Parallel()
	o := newOutpost(t, "sqlite")
	p := provide(t, o.start())
	p.await(20, 200)
	if !p.deliver("killer", "die", 0) {
		t.Fatal("it is not taken")
	}
	p.forget("killer")
	awaitFor(t, time.Minute, "quarantine", func() bool { return len(o.inbox(inbox.Quarantined)) == 1 })
	p.await(20, 200)
	p.end()
	p.handled(o)

	d, err := o.client().Delivery(t.Context(), o.inbox(inbox.Quarantined)[0].ID)
	if err != nil || d.EventID != "killer" || d.Deaths != 3 || d.Tries != 3 {
		t.Errorf("%+v %v", d, err)
	}
	for _, other := range o.inbox(inbox.Done) {
		if other.Deaths != 0 {
			t.Errorf("%s is blamed for another's doing", other.EventID)
		}
	}
	if status := o.edge("status"); !strings.Contains(status, "webhooks github: quarantined: 1") {
		t.Error(status)
	}
	if alive := o.edge("plugins"); !strings.Contains(alive, "running") {
		t.Error(alive)
	}
}

// A plugin that stands still is noticed by pings: it takes half a minute.
func TestSoakAPluginThatStandsStillIsReplaced(t *testing.T) {
	soaking(t)
	t.Parallel()
	o := newOutpost(t, "sqlite", "timeout: 2s", "timeout: 2m")
	p := provide(t, o.start())
	pid := o.pid(0)
	p.await(20, 200)
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	o.pid(pid)
	p.await(20, 200)
	p.end()
	p.handled(o)
	if said := o.said.String(); !strings.Contains(said, "it hung") {
		t.Error(said)
	}
}
