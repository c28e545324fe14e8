package sample_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

func mac(key []byte, signed string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(signed))
	return h.Sum(nil)
}

// TestTheSampleTakesWebhooks sends what GitHub, Stripe and a sender of Standard Webhooks would, and waits until the plugin has handled it.
func TestTheSampleTakesWebhooks(t *testing.T) {
	s := start(t)
	text, err := os.ReadFile(filepath.Join(s.folder, "data", "webhook.secret"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(string(text), "whsec_"))
	if err != nil {
		t.Fatal(err)
	}
	now := strconv.FormatInt(time.Now().Unix(), 10)
	push := `{"ref":"refs/heads/main","repository":{"full_name":"ann/planner"},"commits":[]}`
	paid := `{"id":"evt_1","object":"event","type":"invoice.paid","created":` + now + `,"data":{"object":{"id":"in_1","customer":"cus_1","amount_paid":900,"currency":"eur"}}}`
	event := `{"type":"task.done","timestamp":"2026-01-31T12:00:00Z","data":{"id":"t1"}}`
	for source, header := range map[string][]string{
		"github":  {push, "X-GitHub-Event: push", "X-GitHub-Delivery: 72d3162e-cc78-11e3-81ab-4c9367dc0958", "X-Hub-Signature-256: sha256=" + hex.EncodeToString(mac(text, push))},
		"billing": {paid, "Stripe-Signature: t=" + now + ",v1=" + hex.EncodeToString(mac(text, now+"."+paid))},
		"events":  {event, "webhook-id: msg_1", "webhook-timestamp: " + now, "webhook-signature: v1," + base64.StdEncoding.EncodeToString(mac(key, "msg_1."+now+"."+event))},
	} {
		args := []string{"-o", "/dev/null", "-w", "%{http_code}", "https://webhooks.localhost:" + s.https + "/" + source, "-H", "Content-Type: application/json", "--data-binary", header[0]}
		for _, field := range header[1:] {
			args = append(args, "-H", field)
		}
		for range 2 { // a repeat is taken, and not handled again
			if got := s.curl(t, args...); got != "200" {
				t.Errorf("%s: %s", source, got)
			}
		}
		forged := append(args, "--data-binary", strings.Replace(header[0], "1", "2", 1)+" ")
		if got := s.curl(t, forged...); got != "401" {
			t.Errorf("%s, changed on the way: %s", source, got)
		}
		await(t, source+" is handled", func() bool {
			var found []struct {
				State string
				Tries int
			}
			if err := json.Unmarshal([]byte(s.edge(t, "webhooks", "list", source, "--json")), &found); err != nil {
				t.Fatal(err)
			}
			return len(found) == 1 && found[0].State == "done" && found[0].Tries == 1
		})
	}
	if said := s.edge(t, "webhooks", "doctor", "github"); !strings.Contains(said, "secret") {
		t.Errorf("doctor: %s", said)
	}
}
