package s3conform

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"testing"

	"github.com/mraws/mraws/internal/s3fs"
)

const (
	racers = 32
	rounds = 8
)

func exists(err error) bool { return errors.Is(err, fs.ErrExist) }

// putRace: of many conditional puts of one key exactly one creates it, and
// the object is whole and the winner's.
func (s suite) putRace(t *testing.T) {
	for round := range rounds {
		size := 100
		if round%4 == 3 {
			size = 1 << 20
		}
		key := fmt.Sprintf("race/%d", round)
		errs := race(racers, func(i int) error {
			_, err := s.Put(t.Context(), key, noise(size+i, uint64(i)), s3fs.PutOptions{IfAbsent: true})
			return err
		})
		won, err := winner(errs, exists)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.want(t, key, noise(size+won, uint64(won)))
	}
}

// completeRace is putRace by multipart uploads: the condition must hold at
// their completion.
func (s suite) completeRace(t *testing.T) {
	parts := s.reopen(t, func(o *s3fs.Options) { o.MultipartAbove = 1 })
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		errs := race(racers, func(i int) error {
			data := noise(1000+i, uint64(i))
			_, err := parts.PutFile(t.Context(), key, bytes.NewReader(data), int64(len(data)), s3fs.PutOptions{IfAbsent: true})
			return err
		})
		won, err := winner(errs, exists)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.want(t, key, noise(1000+won, uint64(won)))
		s.noUploads(t, key)
	}
	if parts.Requests()["CompleteMultipartUpload"] < racers*rounds {
		t.Error("the race was not one of completions")
	}
}

// mixedRace: puts and completions race with each other.
func (s suite) mixedRace(t *testing.T) {
	parts := s.reopen(t, func(o *s3fs.Options) { o.MultipartAbove = 1 })
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		errs := race(racers, func(i int) error {
			store := s.Store
			if i%2 == 0 {
				store = parts
			}
			_, err := store.Put(t.Context(), key, noise(1000+i, uint64(i)), s3fs.PutOptions{IfAbsent: true})
			return err
		})
		won, err := winner(errs, exists)
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.want(t, key, noise(1000+won, uint64(won)))
	}
}

// ifMatch: a replacement under a condition replaces that version only.
func (s suite) ifMatch(t *testing.T) {
	ctx := t.Context()
	first := s.put(t, "k", []byte("first"), s3fs.PutOptions{})
	second := s.put(t, "k", []byte("second"), s3fs.PutOptions{IfMatch: first.ETag})
	if second.ETag == first.ETag {
		t.Errorf("both versions have ETag %s", first.ETag)
	}
	if _, err := s.Put(ctx, "k", []byte("stale"), s3fs.PutOptions{IfMatch: first.ETag}); !errors.Is(err, s3fs.ErrPrecondition) {
		t.Errorf("put over a changed object: %v", err)
	}
	s.want(t, "k", []byte("second"))
	_, err := s.Put(ctx, "none", []byte("x"), s3fs.PutOptions{IfMatch: first.ETag})
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, s3fs.ErrPrecondition) {
		t.Errorf("conditional replacement of nothing: %v", err)
	}
	if _, err := s.Stat(ctx, "none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("conditional replacement of nothing left %v", err)
	}
}

// ifMatchRace: of many replacements of one version exactly one succeeds.
func (s suite) ifMatchRace(t *testing.T) {
	for round := range rounds {
		key := fmt.Sprintf("race/%d", round)
		first := s.put(t, key, []byte("first"), s3fs.PutOptions{})
		errs := race(racers, func(i int) error {
			_, err := s.Put(t.Context(), key, noise(100+i, uint64(i)), s3fs.PutOptions{IfMatch: first.ETag})
			return err
		})
		won, err := winner(errs, func(err error) bool { return errors.Is(err, s3fs.ErrPrecondition) })
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		s.want(t, key, noise(100+won, uint64(won)))
	}
}

// largeConflict: the refusal of a large body is told, though the server
// answers before it has read it.
func (s suite) largeConflict(t *testing.T) {
	s.put(t, "k", []byte("small"), s3fs.PutOptions{})
	errs := race(4, func(i int) error {
		_, err := s.Put(t.Context(), "k", noise(multipartAbove, uint64(i)), s3fs.PutOptions{IfAbsent: true})
		return err
	})
	for _, err := range errs {
		if !exists(err) {
			t.Errorf("large conditional put over an object: %v", err)
		}
	}
	s.want(t, "k", []byte("small"))
}
