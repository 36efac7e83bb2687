// Package page tests the page of the dashboard in Chromium. It is a module of its own, so that
// the program's go.mod does not name what drives a browser. scripts/test-page.sh installs
// Chromium and axe-core, and runs it.
package page

import (
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// pictures has the pictures of docs/pictures taken again.
var pictures = flag.Bool("pictures", false, "write the pictures of the dashboard to docs/pictures")

// patience is how long a test waits for what must come, also on a machine with much load.
const patience = 90 * time.Second

// browser returns the context of a browser that runs until the test ends. A test is skipped
// where there is none, unless MRAWS_CHROMIUM names one.
func browser(t *testing.T) context.Context {
	t.Helper()
	name := os.Getenv("MRAWS_CHROMIUM")
	for _, known := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if found, err := exec.LookPath(known); name == "" && err == nil {
			name = found
		}
	}
	if name == "" {
		t.Skip("there is no Chromium: scripts/test-page.sh installs it and runs this test")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(name), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(patience))
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(func() {
		end, done := context.WithTimeout(ctx, 20*time.Second)
		defer done()
		_ = chromedp.Cancel(end)
		cancel()
	})
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal("Chromium does not start: ", err)
	}
	return ctx
}

// tab is a page that a test looks at.
type tab struct {
	*testing.T
	ctx context.Context

	mu      sync.Mutex
	console []string
}

// look is how a page is shown.
type look struct {
	width, height int64
	dark, phone   bool
}

var (
	light   = look{width: 1280, height: 1300}
	dark    = look{width: 1280, height: 1300, dark: true}
	onPhone = look{width: 390, height: 844, phone: true}
)

// open opens a page in a tab of its own. The test fails if the console has a message when it
// ends, but for those that begin with one of allowed.
func open(t *testing.T, in context.Context, address string, l look, allowed ...string) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(in)
	p := &tab{T: t, ctx: ctx}
	messages, ended := chromedp.Console(ctx), make(chan struct{})
	go func() {
		defer close(ended)
		for m, err := range messages {
			if err != nil {
				return
			}
			p.mu.Lock()
			p.console = append(p.console, m.String())
			p.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
		for _, m := range p.console {
			ok := false
			for _, a := range allowed {
				ok = ok || strings.Contains(m, a)
			}
			if !ok {
				t.Errorf("the console says: %s", m)
			}
		}
	})
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	p.do(chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
		return err
	}))
	if l.phone {
		p.do(chromedp.EmulateViewport(l.width, l.height, chromedp.EmulateMobile, chromedp.EmulateTouch, chromedp.EmulatePortrait))
	} else {
		p.do(chromedp.EmulateViewport(l.width, l.height))
	}
	p.do(chromedp.Navigate(address))
	return p
}

func (p *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	if err := chromedp.Do(ctx, steps...); err != nil {
		p.Fatal(err)
	}
}

// value evaluates an expression.
func value[T any](p *tab, expression string) T {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](expression, chromedp.EvalAwaitPromise))
	if err != nil {
		p.Fatalf("%s: %v", expression[:min(len(expression), 200)], err)
	}
	return v
}

// until waits for an expression to be true, also over pages that follow each other.
func (p *tab) until(expression string) {
	p.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	for again := time.NewTicker(50 * time.Millisecond); ; {
		is, err := chromedp.Run(ctx, chromedp.Evaluate[bool]("!!("+expression+")"))
		if is && err == nil {
			again.Stop()
			return
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			p.mu.Lock()
			defer p.mu.Unlock()
			p.Fatalf("%s does not become true: %v\nthe page says: %.3000s\nthe console: %q", expression, err, p.text("body"), p.console)
		}
	}
}

// text is what a reader sees of an element.
func (p *tab) text(selector string) string {
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.querySelector("`+selector+`")?.innerText ?? ""`))
	if err != nil {
		return err.Error()
	}
	return v
}

// has fails unless an element shows a text.
func (p *tab) has(selector, text string) {
	p.Helper()
	if is := p.text(selector); !strings.Contains(is, text) {
		p.Errorf("%s does not show %q but:\n%s", selector, text, is)
	}
}

// picture writes what the screen shows to docs/pictures, if that was asked for.
func (p *tab) picture(name string) {
	p.Helper()
	if !*pictures {
		return
	}
	p.do(chromedp.Evaluate[chromedp.Void](`document.activeElement.blur()`))
	data, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
	if err != nil {
		p.Fatal(err)
	}
	if len(data) > 200<<10 {
		p.Errorf("the picture %s has %d bytes", name, len(data))
	}
	if err := os.WriteFile(filepath.Join("..", "..", "docs", "pictures", name+".png"), data, 0o644); err != nil {
		p.Fatal(err)
	}
}

// accessible fails for each violation that axe-core finds.
func (p *tab) accessible() {
	p.Helper()
	file := os.Getenv("MRAWS_AXE")
	if file == "" {
		p.Log("MRAWS_AXE names no axe-core: accessibility is not checked; scripts/test-page.sh checks it")
		return
	}
	script, err := os.ReadFile(file)
	if err != nil {
		p.Fatal(err)
	}
	if _, err := chromedp.Run(p.ctx, chromedp.Evaluate[chromedp.Void](string(script))); err != nil {
		p.Fatal(err)
	}
	found := value[[]string](p, `axe.run(document, {resultTypes: ["violations"]}).then(r => [...r.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.html.slice(0, 200) + " " + n.failureSummary)), ...(r.passes.length < 10 ? ["only " + r.passes.length + " rules were applied"] : [])])`)
	for _, f := range found {
		p.Errorf("axe-core: %s", f)
	}
}
