package acmetest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
)

const maxBody = 1 << 20 // bytes of a request, or of an answer such as a chain of certificates

// get and post ask a server of ours, and take anything but 200 for an error.
func get(ctx context.Context, client *http.Client, url string) ([]byte, error) {
	return ask(ctx, client, http.MethodGet, url, nil)
}

func post(ctx context.Context, client *http.Client, url string, body []byte) error {
	_, err := ask(ctx, client, http.MethodPost, url, body)
	return err
}

func ask(ctx context.Context, client *http.Client, method, url string, body []byte) ([]byte, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(r)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %s", url, resp.Status, said)
	}
	return said, err
}
