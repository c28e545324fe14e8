package uploads

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/onehost/edge/core/api/access"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
	"github.com/onehost/edge/core/pypitest"
)

// alone keeps everything of AWS away from a test but what it is told.
func alone(t *testing.T) {
	t.Helper()
	nothing := filepath.Join(t.TempDir(), "none")
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_SESSION_TOKEN": "", "AWS_REGION": "eu-central-1", "AWS_DEFAULT_REGION": "",
		"AWS_PROFILE": "", "AWS_CONFIG_FILE": nothing, "AWS_SHARED_CREDENTIALS_FILE": nothing, "AWS_EC2_METADATA_DISABLED": "true",
	} {
		t.Setenv(name, value)
	}
}

// inBucket is uploads in a bucket that moto plays.
func inBucket(t *testing.T) *house {
	t.Helper()
	moto, err := pypitest.StartMoto(t.Context())
	if err != nil {
		pypitest.Missing(t, "S3", err)
	}
	t.Cleanup(moto.Close)
	alone(t)
	h := newHouse(t, func(c *config.APIUploads) {
		c.S3 = &config.UploadS3{Bucket: "files", Prefix: "uploads/", Endpoint: moto.URL}
	})
	b := h.now.Load().bucket
	_, err = b.client.CreateBucket(t.Context(), &s3.CreateBucketInput{
		Bucket: aws.String("files"), CreateBucketConfiguration: &types.CreateBucketConfiguration{LocationConstraint: "eu-central-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// objects are all keys of the bucket.
func (h *house) objects(t *testing.T) (keys []string) {
	t.Helper()
	list, err := h.now.Load().bucket.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("files")})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range list.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

func TestABucketKeepsFiles(t *testing.T) {
	h := inBucket(t)
	wantRanges(t, h, "0123456789")
	text := picture(t, 10, 10)
	row := h.send(t, form(t, "/upload", field{"files", "x.png", text}))[0]
	name := strings.TrimPrefix(row.String("url"), "/uploads/")
	if got := h.objects(t); row["provider"] != "aws-s3" || len(got) != 2 || len(h.lies(t)) != 0 {
		t.Errorf("%v, with %v in the bucket and %v in the folder", row, got, h.lies(t))
	}
	answer := h.get(t, http.MethodGet, row.String("url"))
	if body, _ := io.ReadAll(answer.Body); string(body) != text || answer.Header.Get("Content-Type") != "image/png" || answer.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("the picture comes with %v", answer.Header)
	}
	waiting := filepath.Join(h.config.Folder, incoming, name)
	if err := os.WriteFile(waiting, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := h.forget(t.Context(), h.now.Load(), name); err != nil || len(h.objects(t)) != 2 {
		t.Errorf("a file with an entry is swept up: %v", err)
	}
	if _, err := h.Delete(t.Context(), strconv.FormatInt(row.Int("_n"), 10), access.Caller{}, everything); err != nil || len(h.objects(t)) != 1 {
		t.Errorf("%v, %v", err, h.objects(t))
	}
	for i, want := range []bool{true, false} {
		if kept, err := h.Import(t.Context(), "old.png", 3, strings.NewReader("old")); err != nil || kept != want {
			t.Errorf("%d: %v, %v", i, kept, err)
		}
	}
}

func TestWhatIsWrongWithABucketIsSaid(t *testing.T) {
	h := inBucket(t)
	other := *h.config.S3
	other.Bucket = "none"
	h.config.S3 = &other
	if err := h.Use(t.Context(), h.config, h.set); err != nil {
		t.Fatal(err)
	}
	_, _, err := h.Upload(httptest.NewRecorder(), form(t, "/upload", field{"files", "x.txt", "x"}), access.Caller{}, everything)
	if fault.CodeOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "api.uploads.s3.bucket") || len(h.lies(t)) != 1 { // it waits for the sweep: who knows what arrived
		t.Errorf("%v, %v", err, h.lies(t))
	}
	alone(t)
	t.Setenv("AWS_REGION", "")
	if _, err := newBucket(t.Context(), config.UploadS3{Bucket: "files"}, h.log); err == nil || !strings.Contains(err.Error(), "set region") {
		t.Errorf("without a region: %v", err)
	}
}

func TestABucketThatBreaksOffIsNotTakenForTheWhole(t *testing.T) {
	alone(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = w.Write([]byte("01234"))
	}))
	t.Cleanup(server.Close)
	b, err := newBucket(t.Context(), config.UploadS3{Bucket: "files", Endpoint: server.URL}, newHouse(t, nil).log)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if got := recover(); !errors.Is(asError(got), http.ErrAbortHandler) {
			t.Errorf("it ends with %v", got)
		}
	}()
	err = b.serve(httptest.NewRecorder(), httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil), "x.txt")
	t.Errorf("it was served: %v", err)
}

func asError(v any) error {
	err, _ := v.(error)
	return err
}
