package store

import "github.com/google/uuid"

// NewID returns an id that no other document has, and that comes after those made before (a UUID of version 7, RFC 9562): so
// new documents lie together, where indexes are warm.
func NewID() string { return uuid.Must(uuid.NewV7()).String() }
