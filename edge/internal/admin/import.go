package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/onehost/edge/core/api/strapi"
	"github.com/onehost/edge/core/fault"
	"github.com/uptrace/bunrouter"
)

// importPace is how long one step of an import may take: a batch of records, or a file.
const importPace = 10 * time.Minute

// maxResults bounds a line of what has become of a batch of records, in bytes.
const maxResults = 4 << 20

// Imports is what the API asks when another system's data is taken over.
type Imports interface {
	// Import takes over records, one a line, and tells what has become of each batch, in order.
	Import(ctx context.Context, from io.Reader, told func([]strapi.Result) error) error
	// ImportFile keeps an uploaded file under its name. It reports whether it was not there.
	ImportFile(ctx context.Context, name string, size int64, from io.Reader) (kept bool, err error)
}

// imported is a line of the answer to an import: what has become of a batch, or why there are no more.
type imported struct {
	Results []strapi.Result `json:"results,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

func importRoutes(router *bunrouter.Router, o Operations) {
	router.POST("/v1/import", func(w http.ResponseWriter, r bunrouter.Request) error { return importRecords(w, r, o) })
	router.PUT("/v1/import/files/:name", answer(func(r bunrouter.Request) (any, error) { return importFile(o, r) }))
}

// importRecords answers while it still reads: each batch is told when it is on disk.
func importRecords(w http.ResponseWriter, r bunrouter.Request, o Operations) error {
	control := http.NewResponseController(w)
	goOn := func() error {
		until := time.Now().Add(importPace)
		return errors.Join(control.SetReadDeadline(until), control.SetWriteDeadline(until))
	}
	if err := errors.Join(control.EnableFullDuplex(), goOn()); err != nil {
		return err
	}
	lines := json.NewEncoder(w)
	err := o.Import(r.Context(), r.Body, func(results []strapi.Result) error {
		return errors.Join(goOn(), lines.Encode(imported{Results: results}), control.Flush())
	})
	if err != nil {
		return lines.Encode(imported{Error: &Error{fault.CodeOf(err), err.Error()}})
	}
	return nil
}

func importFile(o Operations, r bunrouter.Request) (bool, error) {
	name, err := named(r, "name")
	if err != nil {
		return false, err
	}
	kept, err := o.ImportFile(r.Context(), name, r.ContentLength, r.Body)
	return kept, coded(err)
}

// Import sends records, one a line, and is told what has become of each batch of them, in order.
func (c *Client) Import(ctx context.Context, from io.Reader, told func([]strapi.Result)) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://edge/v1/import", from)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return explainDial(c.path, err)
	}
	defer answer.Body.Close()
	lines := bufio.NewScanner(answer.Body)
	lines.Buffer(make([]byte, 64<<10), maxResults)
	for lines.Scan() {
		var one imported
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return fmt.Errorf("the server answers %s", answer.Status)
		}
		if one.Error != nil {
			return one.Error
		}
		told(one.Results)
	}
	return lines.Err()
}

// ImportFile sends an uploaded file. It reports whether it was not there.
func (c *Client) ImportFile(ctx context.Context, name string, size int64, from io.Reader) (kept bool, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, "http://edge/v1/import/files/"+url.PathEscape(name), from)
	if err != nil {
		return false, err
	}
	request.ContentLength = size
	answer, err := c.http.Do(request)
	if err != nil {
		return false, explainDial(c.path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err != nil {
		return false, err
	}
	if answer.StatusCode != http.StatusOK {
		refused := new(Error)
		if json.Unmarshal(text, refused) != nil || refused.Message == "" {
			refused.Message = "the server answers " + answer.Status
		}
		return false, refused
	}
	return strconv.ParseBool(string(text[:len(text)-1]))
}
