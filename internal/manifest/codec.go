package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// SchemaError says that an object is not of the kind or version that its
// reader asked for.
type SchemaError struct {
	Got  string // "" if the object names none
	Want string
}

// Error tells a newer version from another kind of object.
func (e *SchemaError) Error() string {
	got, _, _ := cutVersion(e.Got)
	want, _, _ := cutVersion(e.Want)
	switch {
	case e.Got == "":
		return fmt.Sprintf("no schema, want %q", e.Want)
	case got == want:
		return fmt.Sprintf("schema %q is of another version of mraws, this one reads %q", e.Got, e.Want)
	}
	return fmt.Sprintf("schema %q, want %q", e.Got, e.Want)
}

// OtherVersion says whether the object is of the kind that was asked for, and of
// another version of the program.
func (e *SchemaError) OtherVersion() bool {
	got, _, ok := cutVersion(e.Got)
	want, _, _ := cutVersion(e.Want)
	return ok && got == want
}

// cutVersion cuts "mraws/job/v1" before "/v1".
func cutVersion(schema string) (kind, version string, ok bool) {
	i := strings.LastIndex(schema, "/v")
	if i < 0 {
		return schema, "", false
	}
	return schema[:i], schema[i+1:], true
}

// Encode writes v, a control object, as indented JSON with a final newline,
// for the people who will read it with `aws s3 cp … -`. The same value gives
// the same bytes.
func Encode(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode control object: %w", err)
	}
	return b.Bytes(), nil
}

// EncodeLine appends v to dst as JSON on one line, with a final newline.
func EncodeLine(dst []byte, v any) ([]byte, error) {
	b := bytes.NewBuffer(dst)
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return dst, fmt.Errorf("encode line: %w", err)
	}
	return b.Bytes(), nil
}

// Decode reads a control object of the given schema; any other is a
// [*SchemaError]. Fields that T does not know are ignored, so that a later
// program may add some.
func Decode[T any](data []byte, schema string) (*T, error) {
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(data, &head); err != nil {
		return nil, fmt.Errorf("decode %s: %w", schema, err)
	}
	if head.Schema != schema {
		return nil, &SchemaError{Got: head.Schema, Want: schema}
	}
	v := new(T)
	if err := json.Unmarshal(data, v); err != nil {
		return nil, fmt.Errorf("decode %s: %w", schema, err)
	}
	return v, nil
}
