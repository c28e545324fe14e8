package input

import (
	"math"
	"regexp"
	"strconv"
	"strings"
)

// decimal is what a number looks like, in JSON and as JavaScript reads a text.
var decimal = regexp.MustCompile(`^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$`)

// wholeness is what a text is as a whole number.
type wholeness int

const (
	none     wholeness = iota // it is no number
	fraction                  // not whole
	tooMuch                   // for 64 bits
	exact
)

// whole reads a whole number, in any way to write it, without ever rounding.
func whole(text string) (int64, wholeness) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, exact
	}
	if !decimal.MatchString(text) {
		return 0, none
	}
	sign := ""
	if text[0] == '-' {
		sign = "-"
	}
	mantissa, power, _ := strings.Cut(strings.ToLower(strings.TrimLeft(text, "+-")), "e")
	units, tenths, _ := strings.Cut(mantissa, ".")
	digits := strings.TrimLeft(units+tenths, "0")
	kept := strings.TrimRight(digits, "0")
	if kept == "" {
		return 0, exact
	}
	exponent, err := strconv.Atoi(power)
	if power != "" && err != nil {
		exponent = math.MaxInt32
		if power[0] == '-' {
			exponent = -exponent
		}
	}
	exponent += len(digits) - len(kept) - len(tenths)
	switch {
	case exponent < 0:
		return 0, fraction
	case len(kept)+exponent > 19:
		return 0, tooMuch
	}
	n, err := strconv.ParseInt(sign+kept+strings.Repeat("0", exponent), 10, 64)
	if err != nil {
		return 0, tooMuch
	}
	return n, exact
}

// atLeast is the least whole number that is not less than f; atMost the greatest that is not greater.
func atLeast(f float64) int64 { return bounded(math.Ceil(f)) }
func atMost(f float64) int64  { return bounded(math.Floor(f)) }

func bounded(f float64) int64 {
	switch {
	case f >= math.MaxInt64:
		return math.MaxInt64
	case f <= math.MinInt64:
		return math.MinInt64
	}
	return int64(f)
}

// number writes a number as JavaScript does, as far as numbers in schemas go.
func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }
