package uploads

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/logging"

	"github.com/onehost/edge/core/api/problem"
	"github.com/onehost/edge/core/config"
	"github.com/onehost/edge/core/fault"
)

const (
	metadataTimeout = 5 * time.Second  // the instance's metadata service answers in milliseconds, or it is not there
	answerTimeout   = 15 * time.Second // until S3 begins to answer
	putTimeout      = 10 * time.Minute // for a file to get there: the largest takes so long at 70 Mbit/s
)

// bucket keeps files in S3.
type bucket struct {
	client       *s3.Client
	name, prefix string
}

func newBucket(ctx context.Context, c config.UploadS3, log *slog.Logger) (*bucket, error) {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	client := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) { t.ResponseHeaderTimeout = answerTimeout })
	options := []func(*awsconfig.LoadOptions) error{
		awsconfig.WithRegion(c.Region), awsconfig.WithHTTPClient(client),
		awsconfig.WithLogger(logging.LoggerFunc(func(_ logging.Classification, format string, args ...any) {
			log.Debug("uploads: the AWS SDK says: " + strings.TrimSpace(fmt.Sprintf(format, args...)))
		})),
	}
	settings, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err == nil && settings.Region == "" {
		settings, err = awsconfig.LoadDefaultConfig(ctx, append(options, awsconfig.WithEC2IMDSRegion())...)
	}
	if err != nil || settings.Region == "" {
		return nil, fmt.Errorf("api.uploads.s3: nobody says in which AWS region the bucket is: set region, or AWS_REGION: %w", errors.Join(err, fault.Unavailable))
	}
	return &bucket{name: c.Bucket, prefix: c.Prefix, client: s3.NewFromConfig(settings, func(o *s3.Options) {
		if c.Endpoint != "" {
			o.BaseEndpoint, o.UsePathStyle = aws.String(c.Endpoint), true
		}
	})}, nil
}

func (*bucket) provider() string { return "aws-s3" }

func (b *bucket) key(name string) *string { return aws.String(b.prefix + name) }

// put sends a file as it lies on the disk.
func (b *bucket) put(ctx context.Context, name string, waiting *os.File, size int64) error {
	ctx, cancel := context.WithTimeout(ctx, putTimeout)
	defer cancel()
	if _, err := waiting.Seek(0, io.SeekStart); err != nil {
		return err
	}
	media := shown[strings.ToLower(filepath.Ext(name))]
	if media == "" {
		media = "application/octet-stream"
	}
	_, err := b.client.PutObject(ctx, &s3.PutObjectInput{
		Bucket: aws.String(b.name), Key: b.key(name), Body: waiting, ContentLength: aws.Int64(size), ContentType: aws.String(media),
	})
	return b.explain(err)
}

func (b *bucket) remove(ctx context.Context, name string) error {
	_, err := b.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: aws.String(b.name), Key: b.key(name)})
	return b.explain(err)
}

func (b *bucket) size(ctx context.Context, name string) (int64, error) {
	head, err := b.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String(b.name), Key: b.key(name)})
	if statusOf(err) == http.StatusNotFound {
		return -1, nil
	}
	if err != nil {
		return 0, b.explain(err)
	}
	return aws.ToInt64(head.ContentLength), nil
}

// serve passes a file on as it comes. A range that depends on what the client has (If-Range) is answered with the whole, which RFC 9110 allows.
func (b *bucket) serve(w http.ResponseWriter, r *http.Request, name string) error {
	ask := &s3.GetObjectInput{Bucket: aws.String(b.name), Key: b.key(name)}
	if v := r.Header.Get("If-None-Match"); v != "" {
		ask.IfNoneMatch = aws.String(v)
	}
	if v := r.Header.Get("Range"); v != "" && r.Method == http.MethodGet && r.Header.Get("If-Range") == "" && !strings.Contains(v, ",") {
		ask.Range = aws.String(v)
	}
	if r.Method == http.MethodHead {
		return b.head(w, r, name, ask)
	}
	got, err := b.client.GetObject(r.Context(), ask)
	if err != nil {
		return b.refuse(w, name, err)
	}
	defer func() { _ = got.Body.Close() }()
	setHeaders(w.Header(), name)
	b.describe(w.Header(), got.ETag, got.LastModified, got.ContentLength)
	status := http.StatusOK
	if at := aws.ToString(got.ContentRange); at != "" {
		w.Header().Set("Content-Range", at)
		status = http.StatusPartialContent
	}
	w.WriteHeader(status)
	if n, err := io.Copy(w, got.Body); err != nil || n != aws.ToInt64(got.ContentLength) {
		panic(http.ErrAbortHandler) // the client must not take a part for the whole
	}
	return nil
}

func (b *bucket) head(w http.ResponseWriter, r *http.Request, name string, ask *s3.GetObjectInput) error {
	got, err := b.client.HeadObject(r.Context(), &s3.HeadObjectInput{Bucket: ask.Bucket, Key: ask.Key, IfNoneMatch: ask.IfNoneMatch})
	if err != nil {
		return b.refuse(w, name, err)
	}
	setHeaders(w.Header(), name)
	b.describe(w.Header(), got.ETag, got.LastModified, got.ContentLength)
	w.WriteHeader(http.StatusOK)
	return nil
}

func (*bucket) describe(h http.Header, tag *string, modified *time.Time, length *int64) {
	h.Set("Accept-Ranges", "bytes")
	h.Set("Content-Length", strconv.FormatInt(aws.ToInt64(length), 10))
	if tag != nil {
		h.Set("Etag", *tag)
	}
	if modified != nil {
		h.Set("Last-Modified", modified.UTC().Format(http.TimeFormat))
	}
}

// refuse answers with what S3 says instead of the file.
func (b *bucket) refuse(w http.ResponseWriter, name string, err error) error {
	switch statusOf(err) {
	case http.StatusNotModified:
		setHeaders(w.Header(), name)
		w.Header().Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return nil
	case http.StatusNotFound:
		return problem.NotFound()
	case http.StatusRequestedRangeNotSatisfiable:
		return &problem.Error{Status: http.StatusRequestedRangeNotSatisfiable, Name: "RangeNotSatisfiableError", Message: "The file has no such range", Details: problem.None{}}
	}
	return b.explain(err)
}

// statusOf is the status that S3 answered with, 0 if it did not.
func statusOf(err error) int {
	if answer, ok := errors.AsType[*awshttp.ResponseError](err); ok {
		return answer.HTTPStatusCode()
	}
	return 0
}

// explain says what an error of S3 means for who runs this; visitors are told that it is unavailable.
func (b *bucket) explain(err error) error {
	if err == nil {
		return nil
	}
	api, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return fmt.Errorf("uploads: S3 did not answer: %w: %w", err, fault.Unavailable)
	}
	what := "S3 refused"
	switch api.ErrorCode() {
	case "NoSuchBucket":
		what = "there is no bucket " + b.name + ": create it, or correct api.uploads.s3.bucket"
	case "AccessDenied", "Forbidden", "InvalidAccessKeyId", "SignatureDoesNotMatch":
		what = "the credentials of this host may not use the bucket " + b.name + ": its role needs s3:GetObject, s3:PutObject and s3:DeleteObject on its objects"
	}
	return fmt.Errorf("uploads: %s: %w: %w", what, err, fault.Unavailable)
}
