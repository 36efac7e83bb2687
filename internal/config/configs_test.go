package config

import (
	"path/filepath"
	"slices"
	"testing"
	"time"
)

func TestExampleConfigs(t *testing.T) {
	files, err := filepath.Glob("../../configs/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for i, f := range files {
		if files[i], err = filepath.Abs(f); err != nil {
			t.Fatal(err)
		}
	}
	check := map[string]func(*Loaded) bool{
		"laptop.yaml": func(l *Loaded) bool {
			return l.Local && l.DataDir == "/home/me/.local/share/mraws" && l.Listen == "127.0.0.1" && l.Memory == 0
		},
		"aws.yaml": func(l *Loaded) bool {
			return l.Prefix == "jobs/2026-11" && l.SplitSize == 128<<20 && l.CoordTimeout == 2*time.Minute && !l.IsSet("endpoint")
		},
		"minio.yaml": func(l *Loaded) bool {
			return l.Endpoint == "http://127.0.0.1:9000" && l.S3Concurrency == 32 && !l.Local
		},
	}
	var seen []string
	for _, file := range files {
		name := filepath.Base(file)
		seen = append(seen, name)
		t.Run(name, func(t *testing.T) {
			isolate(t)
			t.Setenv("HOME", "/home/me")
			l, err := Load(Options{File: file})
			if err != nil {
				t.Fatal(err)
			}
			if ok := check[name]; ok == nil || !ok(l) {
				t.Errorf("no check of %s, or not what its comments say: %+v", name, l.Config)
			}
		})
	}
	if !slices.Equal(seen, []string{"aws.yaml", "laptop.yaml", "minio.yaml"}) {
		t.Errorf("found %q", seen)
	}
}
