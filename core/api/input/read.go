package input

import (
	"github.com/onehost/edge/core/api/schema"
	"github.com/onehost/edge/core/store"
)

// Read checks what a client sent as the data of an entry of the type. Numbers are json.Number. The error is a [*problem.Error].
func Read(t *schema.Type, data map[string]any, o Options) (Values, error) { panic("unwritten") }

// Complete checks what is kept, of a draft, before it is published: what has to be there is there. The error is a [*problem.Error].
func Complete(t *schema.Type, row store.Document) error { panic("unwritten") }
