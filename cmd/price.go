package cmd

import (
	"fmt"
	"math"
)

// List prices of S3 Standard in us-east-1, in dollars for a request
// (https://aws.amazon.com/s3/pricing, 2025). DELETE and
// AbortMultipartUpload are free.
const (
	priceWrite = 0.005 / 1000  // PUT, COPY, POST, LIST
	priceRead  = 0.0004 / 1000 // GET and all others
)

// requestDollars is what S3 charges for requests, by the name of the operation.
// Storage and transfer are not in it.
func requestDollars(requests map[string]int64) float64 {
	sum := 0.0
	for name, n := range requests {
		switch name {
		case "DeleteObject", "DeleteObjects", "AbortMultipartUpload":
		case "PutObject", "CopyObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "ListObjectsV2", "ListMultipartUploads", "ListParts", "CreateBucket":
			sum += float64(n) * priceWrite
		default:
			sum += float64(n) * priceRead
		}
	}
	return sum
}

// dollarsText is a price with two digits that count, and at least cents.
func dollarsText(d float64) string {
	decimals := 2
	if d > 0 && d < 0.1 {
		decimals = 1 - int(math.Floor(math.Log10(d)))
	}
	return fmt.Sprintf("$%.*f", decimals, d)
}
