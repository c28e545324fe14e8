// Command planner is the sample SaaS' plugin. It keeps what GitHub says of each repository, what plan each of Stripe's customers has, and counts what other
// sources of Standard Webhooks send; it writes to the operator when somebody has paid or left, and a digest when the job "digest" is due.
//
//	plugins:
//	  planner: {command: ./planner, env: {OPERATOR: ops@example.com}, may: [mail]}
//
// Without OPERATOR it writes to nobody. In comes what the sample does, by the public SDK alone.
package main

import (
	"os"

	"github.com/onehost/edge/plugins/sdk"
)

func main() {
	p := planner{operator: os.Getenv("OPERATOR")}
	sdk.Serve(sdk.Webhook(p.handle), sdk.Job("digest", p.digest))
}
