package cmd

import (
	"slices"
	"strings"
	"testing"
)

// TestListed: blank lines and comments of a list name nothing.
func TestListed(t *testing.T) {
	got, err := listed("list", []byte("a\n   \n\t\r\n# b\n\nc d \r\n"))
	if err != nil || !slices.Equal(got, []string{"a", "c d "}) {
		t.Errorf("%q, %v", got, err)
	}
	if _, err := listed("list", []byte("  \n\n")); err == nil || err.Error() != "the list list names nothing" {
		t.Error(err)
	}
	if _, err := listed("list", []byte(" \n-\n")); err == nil || !strings.HasPrefix(err.Error(), "line 2 of the list list") {
		t.Error(err)
	}
}
