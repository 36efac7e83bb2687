package cmd

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mraws/mraws/internal/manifest"
)

// TestTogether: what a job and its workers wait for of each other.
func TestTogether(t *testing.T) {
	success := &manifest.Success{Job: "job-1"}
	errJob := errors.New("the job failed")
	tests := []struct {
		name  string
		grace time.Duration
		// lead ends the job at once, and returns when the workers have left.
		err  error
		want time.Duration
	}{
		{"workers of this process that have not joined", 0, nil, 0},
		{"workers of this process, of a failed job", 0, errJob, 0},
		{"workers in processes of their own", 10 * time.Second, nil, 10 * time.Second},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				start := time.Now()
				together := together{
					workers: 3, grace: tt.grace, ended: ended,
					lead: func(context.Context) (*manifest.Success, error) {
						close(ended)
						if tt.err != nil {
							return nil, tt.err
						}
						return success, nil
					},
					// It looks for a coordinator that it has never met.
					work: func(ctx context.Context, _ <-chan struct{}, _ int) error {
						select {
						case <-ctx.Done():
							return context.Cause(ctx)
						case <-time.After(time.Hour):
							return errors.New("no coordinator")
						}
					},
				}
				got, err := together.run(t.Context())
				if !errors.Is(err, tt.err) || tt.err == nil && got != success {
					t.Errorf("run: %v, %v", got, err)
				}
				if took := time.Since(start); took != tt.want {
					t.Errorf("it took %v, want %v", took, tt.want)
				}
			})
		})
	}
}

// TestTogetherWithoutWorkers: a job whose workers have all ended before it ends
// with their reason; one of them that ends well ends nothing.
func TestTogetherWithoutWorkers(t *testing.T) {
	errDied := errors.New("killed by the application")
	for name, err := range map[string]error{"it failed": errDied, "it was told that the job is done": nil} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan struct{})
				together := together{
					workers: 2, ended: ended,
					lead: func(ctx context.Context) (*manifest.Success, error) {
						defer close(ended)
						select {
						case <-ctx.Done():
							return nil, context.Cause(ctx)
						case <-time.After(time.Minute):
							return &manifest.Success{}, nil
						}
					},
					work: func(_ context.Context, _ <-chan struct{}, index int) error {
						if index == 0 {
							return nil
						}
						return err
					},
				}
				_, got := together.run(t.Context())
				if !errors.Is(got, err) || err != nil && !strings.Contains(got.Error(), "all workers ended") {
					t.Errorf("run: %v, want %v", got, err)
				}
			})
		})
	}
}
