package store

import (
	"encoding/binary"
	"math"
	"reflect"
	"testing"
	"time"

	"github.com/onehost/edge/core/fault"
)

// maker makes values of bytes, valid and others.
type maker []byte

func (m *maker) next() int {
	if len(*m) == 0 {
		return 0
	}
	b := (*m)[0]
	*m = (*m)[1:]
	return int(b)
}

func (m *maker) bits() uint64 {
	var all [8]byte
	n := copy(all[:], *m)
	*m = (*m)[n:]
	return binary.LittleEndian.Uint64(all[:])
}

func (m *maker) text() string {
	n := min(m.next()%16, len(*m))
	s := string((*m)[:n])
	*m = (*m)[n:]
	return s
}

func (m *maker) value(depth int) any {
	kind := m.next() % 12
	if depth == 0 {
		kind %= 8
	}
	switch kind {
	case 1:
		return int64(m.bits())
	case 2:
		return math.Float64frombits(m.bits())
	case 3:
		return m.text()
	case 4:
		return []byte(m.text())
	case 5:
		return m.next()%2 == 0
	case 6:
		return time.Unix(int64(m.bits()), int64(m.next()))
	case 7:
		return int(m.bits())
	case 8:
		list := make([]any, m.next()%4)
		for i := range list {
			list[i] = m.value(depth - 1)
		}
		return list
	case 9:
		return map[string]any(m.document(depth - 1))
	case 10:
		return m.document(depth - 1)
	case 11:
		return Now(m.bits())
	}
	return nil
}

func (m *maker) document(depth int) Document {
	d := make(Document)
	for range m.next() % 4 {
		d[m.text()] = m.value(depth)
	}
	return d
}

func (m *maker) filter(depth int) Filter {
	kind := m.next() % 9
	if depth == 0 {
		kind %= 5
	}
	switch kind {
	case 1:
		return Compare{m.text(), Op([]string{"=", "<", ">", "<=", ">=", "~"}[m.next()%6]), m.value(1)}
	case 2:
		return In{m.text(), []any{m.value(1), m.value(1)}}
	case 3:
		return Text{m.text(), TextOp([]string{"whole", "contains", "prefix", "suffix", ""}[m.next()%5]), m.text(), false}
	case 4:
		return Has{m.text(), m.value(1)}
	case 5:
		return And{m.filter(depth - 1), m.filter(depth - 1)}
	case 6:
		return Not{m.filter(depth - 1)}
	case 7:
		return Some{m.text(), m.filter(depth - 1)}
	case 8:
		return Related{m.text(), m.text(), m.text(), m.filter(depth - 1)}
	}
	return nil
}

func FuzzNormalIsDoneAfterOnce(f *testing.F) {
	f.Add([]byte("\x03\x01a\x01\x01\x00\x00\x00\x00\x00\x00\x00\x01b\x08\x03\x02\x03"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := maker(data)
		d := m.document(6)
		d["id"] = "1"
		once, size, err := Normal(d)
		if err != nil {
			if fault.CodeOf(err) == "" {
				t.Errorf("an error without a code: %v", err)
			}
			return
		}
		twice, again, err := Normal(once)
		if err != nil || !reflect.DeepEqual(once, twice) || size != again || size != Size(once) {
			t.Errorf("%v (%d bytes, or %d) has become %v (%d): %v", once, size, Size(once), twice, again, err)
		}
		if err := (Change{Set: Document{"v": once}}).Check(); err != nil && fault.CodeOf(err) != fault.Invalid {
			t.Errorf("a change to it: %v", err)
		}
	})
}

func FuzzCompareValuesIsAnOrder(f *testing.F) {
	f.Add([]byte("\x01\x01\x00\x00\x00\x00\x00\x20\x00\x02\x00\x00\x00\x00\x00\x00\x40\x43\x02\x00\x00\x00\x00\x00\x00\x40\x43"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := maker(data)
		var v [3]any
		for i := range v {
			var err error
			if v[i], err = NormalValue(m.value(0)); err != nil {
				return
			}
		}
		a, b, c := v[0], v[1], v[2]
		ab, bc, ac := CompareValues(a, b), CompareValues(b, c), CompareValues(a, c)
		if CompareValues(a, a) != 0 || ab != -CompareValues(b, a) {
			t.Errorf("%v and %v compare in two ways", a, b)
		}
		if ab <= 0 && bc <= 0 && (ac > 0 || ac == 0 && (ab < 0 || bc < 0)) {
			t.Errorf("%v, %v, %v: %d, %d, but %d", a, b, c, ab, bc, ac)
		}
	})
}

func FuzzCheckFilterRefusesWithACode(f *testing.F) {
	f.Add([]byte("\x05\x01\x01a\x00\x01\x01\x06\x02\x01b"))
	f.Fuzz(func(t *testing.T, data []byte) {
		m := maker(data)
		filter := m.filter(40)
		if err := CheckFilter(filter); err != nil && fault.CodeOf(err) != fault.Invalid && fault.CodeOf(err) != fault.TooLarge {
			t.Errorf("%v: an error without a code: %v", filter, err)
		}
	})
}
