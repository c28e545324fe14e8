//go:build linux

// Command bench measures edge beside nginx, HAProxy and Caddy, in one run on one machine, and prints a table of what
// each costs, the ratios, and whether edge keeps its targets.
//
// # Method
//
// Servers run on one core, everything else (the load, and this program, which is also the upstream) on another. What is compared is the
// CPU time of the server's processes a request, as the kernel accounts for it: on a shared machine it moves by a few per
// cent where requests per second move by tens. All servers are started once. Each round then visits every server in
// turn, in an order that rotates, so that noise hits all alike, and the median of the rounds is taken. Figures of two
// runs are not comparable; ratios within one are, down to differences of about 15 %.
//
// edge runs with its defaults, limits, timeouts and metrics on. Access logs are off everywhere, except in the row that
// is about them.
//
// # Isolation
//
// The rows isolation-… are about what a flood does to others. A quiet host is asked 1,000 times a second over connections that stay and 20
// times by newcomers, in an open loop: a request is sent when it is due, and its time begins then, whatever became of the one
// before. Then the same under a flood of ten times what edge can do of that, with edge's limits and without them. The flood is a process
// of its own on the core of the load, under SCHED_IDLE: it gets what the quiet host's visitors leave, and never keeps them
// waiting itself. What it should have sent (offered) and what it could (taken) are both told. Its handshakes are one ClientHello sent again and
// again, which costs it next to nothing and edge a whole key exchange and a signature; its forms come over 64 connections, a quarter
// of which begin anew when they are refused something. The p99 must be within twice the quiet one, and no request lost: else
// bench fails.
//
// # Webhooks
//
// The rows webhooks-… are about what it costs that no delivery is lost. webhooks-sqlite and webhooks-mongodb have signed deliveries come over 128 connections as
// fast as they are acknowledged, and beside that insert the same documents straight into the same store, by as many writers: no server can be quicker than that. Then
// they come half as fast, in an open loop. webhooks-plugin has a plugin that does nothing handle deliveries, beside calls of gRPC that do nothing, with the same
// TLS and as many bytes. webhooks-backlog has -backlog deliveries wait, and takes and settles the oldest of them beside a store where nothing waits; then a server
// works on them while others come. A mongod is got as tests get it, and runs on the core of servers, too: an ack has to pay for it as an insert does. Where
// there is none to be had, that is said, and bench fails at its end.
//
// # Content API
//
// The rows api-… are about what an entry costs, over plain HTTP/1.1 connections, 16 of them. api-get, api-list and api-create put edge, a Strapi and a PocketBase with
// the same entries under the same load, in turns: first everything that reads, then what creates. Strapi comes by npm and PocketBase by the module proxy, pinned, into
// the user's cache folder, once. Where one can't be had, that is said, bench fails at its end, and edge stands beside figures of a Strapi that were recorded on another machine,
// which say so and prove nothing. Their logs of requests are off, as edge's is. What is resident is told after the start, with the entries there, and at its peak.
// api-million writes -entries entries straight into a store, and reads one of them, and those that a filter on an index finds, beside a store of a thousand; a mongod's
// CPU time counts with the server's.
//
// # Pitfalls
//
//   - A load generator costs as much CPU as a server: it must never share the server's core.
//   - A server that is not saturated wakes up more often for less work, and costs up to twice as much a request. Only like
//     is compared with like, and the report says who had much time to spare.
//   - nginx closes a connection after 1,000 requests by default, which would make every row a test of handshakes.
//   - A server that answers 502 is very fast: a sample with an error does not count.
//   - Latency in a closed loop at saturation only restates requests per second. So p50 and p99 are of a fixed rate, and
//     without the first moments, when the connections are opened.
//   - Servers listen below the range of ephemeral ports, or an outgoing connection may sit on one of them.
//   - A client that closes its connections collects thousands in TIME_WAIT: the load of handshakes resets them.
package main
