package mr

import (
	"errors"
	"fmt"
	"strconv"
	"time"
)

// Int returns the parameter name as a whole number.
func (t *Task) Int(name string) (int, error) {
	return parseParam(t, name, strconv.Atoi, "a whole number")
}

// Bool returns the parameter name as true (1, t, true) or false (0, f,
// false), in any of the forms that [strconv.ParseBool] takes.
func (t *Task) Bool(name string) (bool, error) {
	return parseParam(t, name, strconv.ParseBool, "true or false")
}

// Duration returns the parameter name as a duration, such as 300ms or 1m30s.
func (t *Task) Duration(name string) (time.Duration, error) {
	return parseParam(t, name, parseDuration, durationForm)
}

const durationForm = "a duration of at least 0 such as 300ms or 2s"

func parseDuration(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err == nil && d < 0 {
		err = errors.New("negative")
	}
	return d, err
}

// parseParam applies parse to the parameter name; form says what it takes.
func parseParam[T any](t *Task, name string, parse func(string) (T, error), form string) (T, error) {
	var zero T
	s, ok := t.Params[name]
	if !ok {
		return zero, fmt.Errorf("parameter %s is not declared by the app", name)
	}
	v, err := parse(s)
	if err != nil {
		return zero, fmt.Errorf("parameter %s=%s is not %s", name, s, form)
	}
	return v, nil
}

// CheckInt is a [Param.Check] for what [Task.Int] reads.
func CheckInt(value string) error { return checkForm(value, strconv.Atoi, "a whole number") }

// CheckBool is a [Param.Check] for what [Task.Bool] reads.
func CheckBool(value string) error { return checkForm(value, strconv.ParseBool, "true or false") }

// CheckDuration is a [Param.Check] for what [Task.Duration] reads.
func CheckDuration(value string) error { return checkForm(value, parseDuration, durationForm) }

func checkForm[T any](value string, parse func(string) (T, error), form string) error {
	if _, err := parse(value); err != nil {
		return errors.New("not " + form)
	}
	return nil
}
