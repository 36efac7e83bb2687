package cmd

import (
	"cmp"
	"context"
	"os"
	"slices"
	"strings"

	"github.com/mraws/mraws/internal/datadir"
	"github.com/mraws/mraws/internal/s3fs"
)

// storeView is what `config show` tells of the store.
type storeView struct {
	Kind    string   `json:"kind"` // embedded, aws or s3
	Bucket  string   `json:"bucket"`
	Prefix  string   `json:"prefix"`
	DataDir string   `json:"data_dir,omitempty"` // of the embedded server
	Region  string   `json:"region,omitempty"`
	URL     string   `json:"endpoint,omitempty"` // of the embedded server while it runs
	Why     string   `json:"chosen_by"`
	OfRun   string   `json:"chosen_by_run,omitempty"` // if `run` takes the embedded server instead
	Problem string   `json:"problem,omitempty"`       // why commands will not open it
	AWS     *awsView `json:"aws,omitempty"`           // nil with the embedded server, which needs nothing of it
}

// awsView is what the AWS environment contributes, without any value of a
// variable.
type awsView struct {
	Variables   []string `json:"variables"` // that are set
	Profile     string   `json:"profile,omitempty"`
	Credentials []string `json:"credentials"` // their sources
}

// viewStore describes the store of commands other than run. It sends no
// request, but asks the embedded server for a sign of life.
func viewStore(ctx context.Context, t *target) storeView {
	v := storeView{Kind: "s3", Bucket: t.conf.Bucket, Prefix: t.layout.Prefix()}
	local, why, err := t.choose(found)
	if err != nil {
		v.Problem = err.Error()
		return v
	}
	v.Why = why
	if local {
		v.Kind, v.DataDir = "embedded", t.conf.DataDir
		if at, err := datadir.Find(ctx, v.DataDir); err == nil {
			v.URL, v.Region = at.URL, at.Region
		}
		return v
	}
	if ofRun, why, _ := t.choose(embedded); ofRun {
		v.OfRun = why
	}
	if err := t.checkBucketNamed(why); err != nil {
		v.Problem = err.Error()
	}
	v.AWS = &awsView{Variables: []string{}, Credentials: []string{}}
	for _, kv := range os.Environ() {
		if name, value, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") && value != "" {
			v.AWS.Variables = append(v.AWS.Variables, name)
		}
	}
	slices.Sort(v.AWS.Variables)
	env, err := s3fs.Resolve(ctx, s3Options(t.conf, 0))
	if err != nil {
		v.Problem = err.Error()
		return v
	}
	v.Region, v.URL, v.AWS.Profile, v.AWS.Credentials = env.Region, env.Endpoint, env.Profile, env.Credentials
	if v.URL == "" {
		v.Kind = "aws"
	}
	return v
}

// rows are the lines of the view for people.
func (v storeView) rows() [][]string {
	rows := [][]string{{"store", "s3://" + strings.TrimSuffix(v.Bucket+"/"+v.Prefix, "/")}}
	add := func(name, value string) {
		if value != "" {
			rows = append(rows, []string{name, value})
		}
	}
	switch v.Kind {
	case "embedded":
		add("server", "embedded in "+v.DataDir)
		add("endpoint", cmp.Or(v.URL, "none: the server does not run"))
		add("AWS", "not used")
	case "aws":
		add("server", "AWS")
		add("region", cmp.Or(v.Region, "that of the bucket, which AWS is asked for"))
	case "s3":
		add("endpoint", v.URL)
		add("region", v.Region)
	}
	add("chosen by", v.Why)
	if v.OfRun != "" {
		add("run", "embedded server ("+v.OfRun+")")
	}
	add("problem", v.Problem)
	if v.AWS != nil {
		add("AWS variables", cmp.Or(strings.Join(v.AWS.Variables, ", "), "none"))
		add("AWS profile", cmp.Or(v.AWS.Profile, "none"))
		add("credentials", cmp.Or(strings.Join(v.AWS.Credentials, ", "), "none"))
	}
	return rows
}
