package sqlite

import (
	"context"
	"fmt"
)

// counts are what was counted since the file was last written to, whoever did that. To count is to look at all there is, and a list that is shown page after page
// is counted with each of them.
type counts struct {
	version int64 // of the file, as this connection sees it
	known   map[string]int64
}

// Limits of what one connection keeps of them.
const (
	maxCounts = 64      // counts
	maxKey    = 1 << 10 // bytes of a statement with what is bound to it
)

// count returns the number that a statement has for a result. What is written while it does is in the count or is not, and then its version is not the one that
// is looked for next.
func (c *conn) count(ctx context.Context, sql string, args []any) (int64, error) {
	version, err := c.number(ctx, "PRAGMA data_version")
	if err != nil {
		return 0, err
	}
	if version != c.counts.version || len(c.counts.known) >= maxCounts {
		c.counts = counts{version, make(map[string]int64)}
	}
	key := countKey(sql, args)
	if n, ok := c.counts.known[key]; ok {
		return n, nil
	}
	n, err := c.number(ctx, sql, args...)
	if err == nil && len(key) < maxKey {
		c.counts.known[key] = n
	}
	return n, err
}

func countKey(sql string, args []any) string {
	key := []byte(sql)
	for _, arg := range args {
		if raw, ok := arg.([]byte); ok {
			arg = string(raw)
		}
		key = fmt.Appendf(key, " %T %q", arg, fmt.Sprint(arg))
	}
	return string(key)
}
