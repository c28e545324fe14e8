package front

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"testing"

	"github.com/quic-go/quic-go/http3"
)

// idleVisitors in the environment says "PROTOCOL URL": this process is to hold connections then.
const idleVisitors = "EDGE_IDLE_VISITORS"

const idleCount = 500

// holdConnections makes idleCount connections, asks once on each, and holds them until standard input ends.
func holdConnections(order string) error {
	var protocol, url string
	if _, err := fmt.Sscan(order, &protocol, &url); err != nil {
		return err
	}
	trusting := &tls.Config{InsecureSkipVerify: true}
	for range idleCount {
		transport := http.RoundTripper(&http.Transport{TLSClientConfig: trusting.Clone(), ForceAttemptHTTP2: protocol == "h2"})
		if protocol == "h3" {
			transport = &http3.Transport{TLSClientConfig: trusting.Clone()}
		}
		r, err := http.NewRequest("GET", url, nil)
		if err != nil {
			return err
		}
		answer, err := transport.RoundTrip(r)
		if err != nil {
			return err
		}
		_, _ = io.Copy(io.Discard, answer.Body)
		_ = answer.Body.Close()
	}
	fmt.Println("ready")
	_, _ = io.Copy(io.Discard, os.Stdin)
	return nil
}

// BenchmarkIdleConnection says what a connection costs on which a request has come and nothing happens now.
// Its visitors are another process, so that their memory is not counted.
func BenchmarkIdleConnection(b *testing.B) {
	for _, protocol := range []string{"h1", "h2", "h3"} {
		b.Run(protocol, func(b *testing.B) {
			h := start(b, true, Limits{Connections: 2 * idleCount}, text("x"))
			url := "https://" + h.address
			if protocol == "h3" {
				url = "https://" + h.quic()
			}
			b.ReportMetric(0, "ns/op")
			for b.Loop() {
				before := inUse()
				visitors := exec.CommandContext(b.Context(), os.Args[0])
				visitors.Env = append(os.Environ(), idleVisitors+"="+protocol+" "+url)
				visitors.Stderr = b.Output()
				in, _ := visitors.StdinPipe()
				out, _ := visitors.StdoutPipe()
				if err := visitors.Start(); err != nil {
					b.Fatal(err)
				}
				if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
					b.Fatal(line, err)
				}
				waitFor(b, func() bool { return h.server.Connections().Idle == idleCount })
				b.ReportMetric(float64(inUse()-before)/idleCount, "B/connection")
				in.Close()
				_ = visitors.Wait()
				waitFor(b, func() bool { h.server.closeLongestIdle(); return h.server.Connections().Open == 0 })
			}
		})
	}
}

// inUse is what heap and stacks take after a collection.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // what pools had in reserve
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}
