package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/layout"
)

// Last is the word for the newest job. No job can be given it as a name.
const Last = "last"

// CheckName says why a job cannot be given this name, nil if it can.
func CheckName(name string) error {
	if !layout.ValidName(name) || name == Last {
		return fmt.Errorf("the name of a job is 1 to 128 letters, digits, '.', '-' and '_', and not %q", Last)
	}
	_, err := layout.CheckPrefix(name)
	return err
}

// NoMatchError says that no job is meant by a word, or more than one.
type NoMatchError struct {
	Word  string
	Among []string // the names of the jobs that it may mean, the newest first; else those of all jobs
	Many  bool     // it may mean all of Among
}

func (e *NoMatchError) Error() string {
	switch {
	case e.Many:
		return fmt.Sprintf("%q may be any of %d jobs", e.Word, len(e.Among))
	case e.Word == Last:
		return "there is no job"
	}
	return fmt.Sprintf("there is no job %q", e.Word)
}

// Resolve returns the job that a word means: [Last] is the newest; else it is the
// prefix of one below the base, its name, the last element of its prefix, its id, or
// how one of these begins, if that is how one job's begins only. It returns a
// *NoMatchError, or an error of the store.
func Resolve(ctx context.Context, o Options, word string) (*Job, error) {
	word = strings.Trim(word, "/")
	if prefix, err := layout.CheckPrefix(layout.New(o.Base).Root() + word); err == nil && word != Last && word != "" {
		if job, err := Read(ctx, o, prefix); job != nil || err != nil {
			return job, err
		}
	}
	list, err := Find(ctx, o)
	if err != nil {
		return nil, err
	}
	return match(list.Jobs, word)
}

// match returns the one of the jobs, the newest first, that a word means.
func match(jobs []Job, word string) (*Job, error) {
	if word == Last && len(jobs) > 0 {
		return &jobs[0], nil
	}
	for _, fits := range []func(name string) bool{
		func(name string) bool { return name == word },
		func(name string) bool { return word != "" && strings.HasPrefix(name, word) },
	} {
		var found []*Job
		for i := range jobs {
			if slices.ContainsFunc(jobs[i].words(), fits) {
				found = append(found, &jobs[i])
			}
		}
		switch len(found) {
		case 0:
			continue
		case 1:
			return found[0], nil
		}
		e := &NoMatchError{Word: word, Many: true}
		for _, j := range found {
			e.Among = append(e.Among, j.Name)
		}
		return nil, e
	}
	e := &NoMatchError{Word: word}
	for i := range jobs {
		e.Among = append(e.Among, jobs[i].words()...)
	}
	return nil, e
}

// words are those by which a job is known, each once.
func (j *Job) words() []string {
	_, last, _ := cutLast(j.Prefix, "/")
	var words []string
	for _, w := range []string{j.Name, last, j.ID} {
		if w != "" && !slices.Contains(words, w) {
			words = append(words, w)
		}
	}
	return words
}
