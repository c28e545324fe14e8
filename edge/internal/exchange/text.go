package exchange

import "unsafe"

// textRoom is how many bytes are made room for at once, where a front has lent none or too few.
const textRoom = 2 << 10

// Text returns the bytes of b as a string of the exchange's own: valid until the exchange ends, as all of its strings are.
// It takes the place of string(b) where that would allocate for every request.
func (x *Exchange) Text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if cap(x.text)-len(x.text) < len(b) {
		x.text = make([]byte, 0, max(len(b), textRoom)) // what stood before stays where it is, for as long as it has readers
	}
	at := len(x.text)
	x.text = append(x.text, b...)
	return unsafe.String(&x.text[at], len(b)) // these bytes aren't written again before the exchange has ended
}

// LendText gives the exchange memory for Text, and takes back what it had: a front does so at the beginning of an exchange,
// and with nil at its end.
func (x *Exchange) LendText(room []byte) {
	poison(x.text)
	x.text = room[:0]
}
