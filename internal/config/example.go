package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// Example returns a file with every key commented out at its default.
func Example() string {
	var b strings.Builder
	b.WriteString("# Configuration of mraws. The value of a key is the first of these: its flag, its\n" +
		"# environment variable, this file, its default. Relative paths are relative to\n" +
		"# this file. Sizes need a unit: 64MiB is 64 x 1,048,576 bytes, 64MB is\n" +
		"# 64,000,000. S3 credentials do not belong here: they come from the AWS\n" +
		"# environment, profile or instance role.\n")
	var group Group
	for _, k := range Keys() {
		if k.Group != group {
			group = k.Group
			fmt.Fprintf(&b, "\n# --- %s ---\n", group)
		}
		help := k.Help
		if k.Choices != nil {
			help += " (" + strings.Join(k.Choices, ", ") + ")"
		}
		fmt.Fprintf(&b, "\n# %s; --%s, %s\n#%s: %s\n", help, k.Name, k.Env(), k.Name, k.YAML(k.Default))
	}
	return b.String()
}

// Schema returns a JSON Schema (draft 7, which editors know) of configuration files.
func Schema() ([]byte, error) {
	properties := map[string]any{}
	for _, k := range Keys() {
		of := map[string]any{"description": k.Help}
		switch {
		case k.Choices != nil:
			of["enum"] = k.Choices
		case k.Type == "switch":
			of["type"] = "boolean"
		case k.Type == "n":
			of["type"] = "integer"
		case k.Type == "n|n%" || k.Type == "size" || k.Type == "duration":
			of["type"] = []string{"string", "integer"}
		default:
			of["type"] = "string"
		}
		if k.Default != "" {
			of["default"] = k.Default
		}
		properties[k.Name] = of
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(map[string]any{
		"$schema": "http://json-schema.org/draft-07/schema#", "title": "configuration of mraws",
		"type": "object", "additionalProperties": false, "properties": properties,
	})
	return b.Bytes(), err
}

// YAML returns the loaded configuration as a file that loads to the same. Each
// line ends with a comment on the origin of the value. Defaults are commented
// out, since a key in a file counts as set.
func (l *Loaded) YAML() string {
	var b strings.Builder
	for i, k := range Keys() {
		e := l.entries[i]
		if e.Origin.Level == Default {
			b.WriteString("#")
		}
		fmt.Fprintf(&b, "%s: %s  # %s\n", k.Name, k.YAML(e.Value), strings.ReplaceAll(e.Origin.String(), "\n", `\n`))
	}
	return b.String()
}

// YAML writes a value of the key as it stands in a file.
func (k Key) YAML(value string) string {
	if k.Type == "switch" || k.Type == "n" || k.Choices != nil ||
		(value != "" && (k.Type == "size" || k.Type == "duration")) {
		return value
	}
	return strconv.Quote(value)
}
