package s3local

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
)

// serveDir names the data folder that a child process serves, see startChild.
const serveDir = "S3LOCAL_TEST_SERVE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		serveUntilKilled(dir)
		return
	}
	goleak.VerifyTestMain(m,
		// fasthttp keeps the time of day for its Date headers, for ever.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.updateServerDate.func1"),
		// The worker pool of a stopped fasthttp server ends at the next tick
		// of its cleaner, ten seconds later.
		goleak.IgnoreAnyFunction("github.com/valyala/fasthttp.(*workerPool).Start.func2"))
}

// serveUntilKilled is the child: it says that it serves, and waits.
func serveUntilKilled(dir string) {
	_, err := Start(context.Background(), Options{DataDir: dir})
	fmt.Println("started:", err)
	select {}
}
