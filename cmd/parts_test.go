package cmd

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/mraws/mraws/internal/s3local"
	"github.com/mraws/mraws/mr"
)

// embeddedServer is the part of package embedded, which imports this one.
var embeddedServer = EmbeddedServer(func(ctx context.Context, o ServerOptions) (Server, error) {
	server, err := s3local.Start(ctx, s3local.Options{DataDir: o.DataDir, Address: o.Address, Region: o.Region, Front: o.Front})
	if err != nil {
		return nil, err
	}
	return server, nil
})

// TestWithoutServer: a program without the embedded server has no command for
// it, takes no data folder that nobody asked for, and uses one on request if
// another program serves it.
func TestWithoutServer(t *testing.T) {
	clean(t)
	dir := t.TempDir()
	server, err := s3local.Start(t.Context(), s3local.Options{DataDir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_DATA_HOME", t.TempDir())
	for _, c := range []struct {
		line string
		code int
		said []string
	}{
		{"s3", ExitUsage, []string{`unknown command "s3"`}},
		{"run --app one", ExitUsage, []string{"no bucket is named", "hint: name one with --bucket or MRAWS_BUCKET\n"}},
		{"cat --local", ExitUsage, []string{"no server runs there", "cli.With(embedded.Server())"}},
		{"reset --yes --data-dir " + dir, ExitOK, []string{"store: s3://mapreducedata embedded in " + dir}},
	} {
		var out, errs bytes.Buffer
		code := Execute(t.Context(), "own", nil, strings.Fields(c.line), IO{In: strings.NewReader(""), Out: &out, Err: &errs}, []mr.App{testApp("one")})
		if code != c.code {
			t.Errorf("%s: exit code %d, want %d", c.line, code, c.code)
		}
		for _, want := range c.said {
			if !strings.Contains(errs.String(), want) {
				t.Errorf("%s: %q lacks %q", c.line, errs.String(), want)
			}
		}
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}
