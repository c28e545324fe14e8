package front

import (
	"crypto/tls"
	"errors"
	"io"
)

// acceptedInARow is how many connections are accepted before those who are here go first.
const acceptedInARow = 4

// shaking is where a line is in its TLS handshake.
type shaking uint8

const (
	notShaking shaking = iota
	waits              // for a flight of the visitor's: it may not compute
	waitsAgain         // for a flight after the first
	computes           // has a place inside the door
)

var errTurnedAway = errors.New("too many handshakes wait")

// shake has conn, which is on top of l, do its handshake. What it computes between reading one flight of the visitor's and
// waiting for the next, it computes inside the door.
func (l *line) shake(conn *tls.Conn) error {
	l.shaking = waits
	err := conn.Handshake()
	if l.shaking == computes {
		l.s.door.leave()
	}
	l.shaking = notShaking
	return err
}

// readFlight is Read in a handshake.
func (l *line) readFlight(p []byte) (int, error) {
	if l.shaking == computes {
		l.shaking = waitsAgain
		l.s.door.leave()
	}
	n, err := l.read(p)
	if err != nil {
		return n, err
	}
	again := l.shaking == waitsAgain
	if !l.s.door.enter(l.s.work, l.peer.Addr(), again) {
		return 0, errTurnedAway
	}
	l.shaking = computes
	if !again && peerGone(l.raw) { // while it waited: nobody will end this handshake. After the last flight there may be a request
		return 0, io.EOF
	}
	return n, nil
}
