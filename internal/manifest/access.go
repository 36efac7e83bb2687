package manifest

import (
	"fmt"
	"regexp"

	"github.com/mraws/mraws/internal/layout"
)

// AWS is the server of a bucket that lies not on that of the job but on the S3 of
// the AWS environment, which each process has of its own.
const AWS = "aws"

// Access says how a bucket of input is reached. The zero value is on the job's server,
// with its region and credentials.
type Access struct {
	Server string `json:"server,omitempty"` // "" is that of the job, or [AWS]
	Region string `json:"region,omitempty"` // "" is that of the server
	// Unsigned sends requests without credentials.
	Unsigned bool `json:"unsigned,omitempty"`
	// RequesterPays has whoever sends a request pay for it.
	RequesterPays bool `json:"requester_pays,omitempty"`
}

// region is what may become a part of the name of a host.
var region = regexp.MustCompile(`^[a-z0-9-]{0,40}$`)

// validateBuckets judges how buckets are reached. It does not matter whether any
// object lies there.
func (j *Job) validateBuckets() error {
	for name, a := range j.Buckets {
		switch {
		case !layout.ValidBucket(name):
			return fmt.Errorf("%.200q cannot be the name of a bucket", name)
		case a.Server != "" && a.Server != AWS:
			return fmt.Errorf("bucket %s on the unknown server %.200q", name, a.Server)
		case !region.MatchString(a.Region):
			return fmt.Errorf("bucket %s in the region %.200q", name, a.Region)
		}
	}
	return nil
}
