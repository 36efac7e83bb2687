// Package importrules tests which package may import which (docs/ARCHITECTURE.md).
package importrules

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/mraws/mraws/"

// allowed lists for each package of the module the packages of the module that it
// may import. "std" means that of all other packages it may import only the
// standard library.
var allowed = map[string][]string{
	"mr":                         {"std"},
	"mr/mrtest":                  {"std", "mr"},
	"internal/object":            {"std"},
	"internal/escape":            {"std"},
	"internal/failpoint":         {"internal/object"},
	"internal/layout":            {},
	"internal/manifest":          {"internal/layout", "internal/recordio", "internal/input", "internal/output", "internal/object"},
	"internal/keyorder":          {"mr", "internal/manifest"},
	"internal/jobstate":          {"internal/layout", "internal/manifest", "internal/object"},
	"internal/recordio":          {},
	"internal/sortbuf":           {"mr", "internal/recordio"},
	"internal/input":             {"mr"},
	"internal/output":            {"mr"},
	"internal/output/parquet":    {"internal/output"}, // and only cli/parquet imports it: see checkSDK
	"internal/decompress":        {"internal/manifest"},
	"internal/coordinator/sched": {"std", "mr"},
	"internal/wire":              {"mr", "internal/failpoint", "internal/escape", "internal/layout", "internal/manifest", "internal/object"},
	"internal/s3fs":              {"internal/object", "internal/escape"},
	"internal/s3local":           {"internal/datadir"},
	"internal/datadir":           {"std"},
	"internal/spot":              {},
	"internal/hadoop":            {"internal/object"},
	"internal/s3fault":           {"std"},
	"internal/config":            {"internal/layout"},
	"internal/chain":             {},
	"internal/metrics":           {}, // and nobody else imports Prometheus: see checkSDK
	"internal/dashboard/page":    {"std"},
	"internal/telemetry":         {"internal/trace", "internal/metrics"}, // and nobody else imports OpenTelemetry: see checkSDK
	"internal/protocol":          {"std", "internal/trace"},
	"internal/trace":             {"std"},
	"internal/events":            {"internal/layout", "internal/manifest", "internal/object", "internal/escape"},
	"internal/findings":          {"internal/events", "internal/input", "internal/manifest"},
	"internal/scratch":           {},
	"internal/apps":              {"mr"},
	"internal/coordinator/lease": {"internal/trace", "internal/layout", "internal/manifest", "internal/object", "internal/jobstate"},
	"internal/coordinator":       {"mr", "internal/trace", "internal/coordinator/sched", "internal/coordinator/lease", "internal/wire", "internal/layout", "internal/manifest", "internal/recordio", "internal/input", "internal/decompress", "internal/output", "internal/object", "internal/jobstate", "internal/inventory", "internal/pick", "internal/scratch", "internal/events", "internal/price", "internal/estimate"},
	"internal/inventory":         {},
	"internal/price":             {"std", "internal/object"},
	"internal/estimate":          {"internal/input", "internal/manifest", "internal/object"},
	"configs":                    {"std"},
	"internal/pick":              {},
	"internal/runner":            {"std", "mr"},
	"internal/runner/gorunner":   {"std", "mr", "internal/runner"},
	"internal/shipped":           {"internal/layout", "internal/manifest", "internal/object", "internal/scratch"},
	"internal/runner/execrunner": {"mr", "internal/runner", "internal/shipped", "internal/layout", "internal/manifest", "internal/keyorder", "internal/recordio", "internal/sortbuf"},
	"internal/wasm":              {"internal/manifest", "internal/runner/execrunner"}, // and only cli/wasm imports it: see checkSDK
	"internal/task":              {"mr", "internal/runner", "internal/shipped", "internal/layout", "internal/manifest", "internal/keyorder", "internal/recordio", "internal/sortbuf", "internal/input", "internal/output", "internal/decompress", "internal/object", "internal/failpoint", "internal/scratch", "internal/jobstate"},
	"internal/worker":            {"mr", "internal/trace", "internal/wire", "internal/task", "internal/runner", "internal/runner/gorunner", "internal/shipped", "internal/layout", "internal/manifest", "internal/input", "internal/output", "internal/object", "internal/jobstate"},
	"internal/testkit":           {"mr", "internal/input", "internal/output", "internal/layout", "internal/manifest", "internal/object", "internal/wire"},
	"internal/testkit/wat":       {"std"},
	"internal/parquet":           {"mr", "internal/input", "internal/verify"}, // and only cli/parquet imports it: see checkSDK
	"internal/verify":            {"mr", "internal/layout", "internal/manifest", "internal/keyorder", "internal/recordio", "internal/input", "internal/object", "internal/scratch"},
	"internal/upload":            {"mr", "internal/pick", "internal/layout", "internal/manifest", "internal/recordio", "internal/object"},
	"e2e/lab":                    {"mr", "mr/mrtest", "internal/apps", "internal/layout"},
	"internal/status":            {"internal/events", "internal/wire", "internal/escape", "internal/layout", "internal/manifest", "internal/object", "internal/jobstate"},
	"internal/cancel":            {"internal/layout", "internal/manifest", "internal/object", "internal/jobstate"},
	"internal/jobs":              {"internal/layout", "internal/manifest", "internal/object", "internal/jobstate"},
	"internal/dashboard":         {"internal/events", "internal/jobs", "internal/jobstate", "internal/layout", "internal/manifest", "internal/escape", "internal/object", "internal/findings"},
	"e2e/chaos":                  {"e2e/lab", "internal/events", "internal/layout", "internal/manifest", "internal/object", "internal/failpoint", "internal/protocol", "internal/trace"},
	"internal/doctor":            {"internal/layout", "internal/object"},
	"internal/reset":             {"mr", "internal/layout", "internal/manifest", "internal/recordio", "internal/object", "internal/jobstate"},
}

// wiring lists packages that may import all packages of the module.
var wiring = []string{"", "api", "deploy", "cmd", "cli", "cli/embedded", "cli/wasm", "cli/parquet", "bench", "bench/", "e2e", "e2e/", "examples/", "internal/s3fs/s3conform", "internal/importrules"}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
}

// packages lists all packages of the module with their imports, without those of
// tests.
func packages(t *testing.T) []pkg {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...").Output()
	if err != nil {
		t.Fatal(err)
	}
	var list []pkg
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else if err != nil {
			t.Fatal(err)
		}
		list = append(list, p)
	}
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range packages(t) {
		name := strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, strings.TrimSuffix(module, "/")), "/")
		seen[name] = true
		checkSDK(t, name, p.Imports)
		may, ruled := allowed[name]
		if !ruled {
			if !slices.ContainsFunc(wiring, func(w string) bool { return name == w || strings.HasSuffix(w, "/") && strings.HasPrefix(name, w) }) {
				t.Errorf("package %s has no import rule: add it to this test and to docs/ARCHITECTURE.md", name)
			}
			continue
		}
		for _, imp := range p.Imports {
			ours, isOurs := strings.CutPrefix(imp, module)
			switch {
			case isOurs && !slices.Contains(may, ours):
				t.Errorf("%s imports %s", name, ours)
			case !isOurs && slices.Contains(may, "std") && strings.Contains(strings.SplitN(imp, "/", 2)[0], "."):
				t.Errorf("%s imports %s, but is to need the standard library only", name, imp)
			}
		}
	}
	for name := range allowed {
		if !seen[name] {
			t.Errorf("there is an import rule for %s, which does not exist", name)
		}
	}
}

// checkSDK checks the imports of large dependencies. Only s3fs sends requests to
// S3, only s3local embeds the server, only wasm runs modules, only the packages parquet have the
// library of Parquet, only metrics imports Prometheus, only telemetry OpenTelemetry. The interface of the server uses types of the SDK, so s3local may import those two
// packages. spot uses the SDK's client for instance metadata, and no service of
// AWS.
func checkSDK(t *testing.T, name string, imports []string) {
	t.Helper()
	const types = "github.com/aws/aws-sdk-go-v2/service/s3"
	for _, imp := range imports {
		ofServer := name == "internal/s3local" && (imp == types || imp == types+"/types")
		ofMachine := name == "internal/spot" && !strings.HasPrefix(imp, "github.com/aws/aws-sdk-go-v2/service/")
		if strings.HasPrefix(imp, "github.com/aws/") && name != "internal/s3fs" && !ofServer && !ofMachine {
			t.Errorf("%s imports %s; only internal/s3fs may import the SDK", name, imp)
		}
		if strings.HasPrefix(imp, "github.com/versity/") && name != "internal/s3local" {
			t.Errorf("%s imports %s; only internal/s3local may import the server", name, imp)
		}
		if imp == module+"internal/s3local" && (name == "cmd" || name == "cli") {
			t.Errorf("%s imports %s; only cli/embedded may: a program without the server must not link it", name, imp)
		}
		if strings.HasPrefix(imp, "github.com/tetratelabs/") && name != "internal/wasm" {
			t.Errorf("%s imports %s; only internal/wasm may run modules", name, imp)
		}
		if imp == module+"internal/wasm" && name != "cli/wasm" {
			t.Errorf("%s imports %s; only cli/wasm may: a program without it must not link it", name, imp)
		}
		if strings.HasPrefix(imp, "github.com/parquet-go/") && name != "internal/parquet" && name != "internal/output/parquet" && name != "bench/gen" {
			t.Errorf("%s imports %s; only internal/parquet, internal/output/parquet and bench/gen may", name, imp)
		}
		if (imp == module+"internal/parquet" || imp == module+"internal/output/parquet") && name != "cli/parquet" {
			t.Errorf("%s imports %s; only cli/parquet may: a program without it must not link it", name, imp)
		}
		if strings.HasPrefix(imp, "github.com/prometheus/") && name != "internal/metrics" {
			t.Errorf("%s imports %s; only internal/metrics may: roles count in plain numbers", name, imp)
		}
		if strings.HasPrefix(imp, "go.opentelemetry.io/") && name != "internal/telemetry" {
			t.Errorf("%s imports %s; only internal/telemetry may: roles tell what happens", name, imp)
		}
	}
}
