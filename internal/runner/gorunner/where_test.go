package gorunner

import "testing"

// TestUserFunction: the place in a stack that people want to know.
func TestUserFunction(t *testing.T) {
	for want, stack := range map[string]string{
		"main.(*m).Map (app.go:12)":        "time.Sleep time.go:3\nmain.(*m).Map app.go:12\ngithub.com/mraws/mraws/internal/runner/gorunner.(*mapping).records gorunner.go:1",
		"example.com/app.wait (wait.go:7)": "runtime.gopark proc.go:1\nexample.com/app.wait wait.go:7\nmain.main app.go:1",
		"encoding/json.Unmarshal (x.go:1)": "encoding/json.Unmarshal x.go:1\ngithub.com/mraws/mraws/internal/runner/gorunner.(*goRunner).Guard a.go:1",
		"":                                 "github.com/mraws/mraws/internal/runner/gorunner.(*goRunner).Guard a.go:1",
	} {
		if got := userFunction(stack); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
