package proxy

import (
	"bufio"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// TestARequestThatKillsItsAppIsSentTwiceAtMost: once on a connection that was kept, which the target may just have closed, and
// once on a new one. However many are kept, they are other visitors'.
func TestARequestThatKillsItsAppIsSentTwiceAtMost(t *testing.T) {
	var killed atomic.Int32
	asked, answer := make(chan bool), make(chan bool)
	h := to(t, many(t, nil, func(c net.Conn) {
		defer c.Close()
		for r := bufio.NewReader(c); ; {
			head := readHead(r)
			if strings.HasPrefix(head, "GET /kill ") {
				killed.Add(1)
				return
			}
			if head == "" {
				return
			}
			asked <- true
			<-answer
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		}
	}))
	const visitors = 10
	done := make(chan int, visitors)
	for range visitors {
		go func() { done <- askWith(h, "GET", "/", "").Status }()
	}
	for range visitors {
		<-asked // so that each has a connection
	}
	close(answer)
	for range visitors {
		if status := <-done; status != 200 {
			t.Errorf("status %d", status)
		}
	}
	if r := askWith(h, "GET", "/kill", ""); r.Status != 502 || killed.Load() != 2 {
		t.Errorf("status %d, sent %d times", r.Status, killed.Load())
	}
}
