package s3fault_test

import (
	"testing"

	"go.uber.org/goleak"
)

// TestMain fails if a goroutine is left, but for two of the embedded
// server's, which the HTTP library under it starts and never ends.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}
