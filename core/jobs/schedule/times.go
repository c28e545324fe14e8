package schedule

// fixed are times of the clock that are due once each: see the package comment.
type fixed struct {
	fields fields
	clock  clock
}

func (f *fixed) next(after int64) (int64, bool) {
	shown, ok := f.fields.from(f.clock.latest(after) + 1)
	if !ok {
		return 0, false
	}
	return f.clock.reached(shown), true
}

func (f *fixed) last(at int64) (int64, bool) {
	shown, ok := f.fields.until(f.clock.latest(at))
	if !ok {
		return 0, false
	}
	return f.clock.reached(shown), true
}

func (f *fixed) shown(from, until int64) (first, last int64, ok bool) {
	first, ok = f.fields.from(from)
	if !ok || first >= until {
		return 0, 0, false
	}
	last, ok = f.fields.until(until - 1)
	return first, last, ok
}

// repeated are times of the clock that are due whenever it shows them.
type repeated struct {
	fields fields
	clock  clock
}

func (r *repeated) next(after int64) (int64, bool) {
	for at := after + 1; at <= lastSecond; {
		s := r.clock.segment(at)
		shown, ok := r.fields.from(at + s.ahead)
		if !ok {
			return 0, false
		}
		if due := shown - s.ahead; due < s.to {
			return due, true
		}
		at = s.to
	}
	return 0, false
}

func (r *repeated) last(at int64) (int64, bool) {
	for at >= firstSecond {
		s := r.clock.segment(at)
		shown, ok := r.fields.until(at + s.ahead)
		if !ok {
			return 0, false
		}
		if due := shown - s.ahead; due >= s.from {
			return due, true
		}
		at = s.from - 1
	}
	return 0, false
}

func (r *repeated) shown(int64, int64) (int64, int64, bool) { return 0, 0, false }

// every is due each time that so many seconds have passed since 1970.
type every int64

func (e every) next(after int64) (int64, bool) {
	return (floor(after, int64(e)) + 1) * int64(e), true
}

func (e every) last(at int64) (int64, bool) { return floor(at, int64(e)) * int64(e), true }

func (e every) shown(int64, int64) (int64, int64, bool) { return 0, 0, false }

// once is a single time.
type once struct {
	due   int64
	clock int64 // the time of the clock that was meant
	local bool  // it was written as one, and not with an offset
}

func (o once) next(after int64) (int64, bool) { return o.due, o.due > after }

func (o once) last(at int64) (int64, bool) { return o.due, o.due <= at }

func (o once) shown(from, until int64) (first, last int64, ok bool) {
	return o.clock, o.clock, o.local && from <= o.clock && o.clock < until
}
