package cmd

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/mraws/mraws/internal/escape"
)

// Results for machines, with -o: a document has the same fields in each format.
//
//	json   one document, indented; a line for each of what goes on, such as events
//	jsonl  a line for each thing of a list, else one line
//	yaml   one document; one for each of what goes on, with "---" in front

// The formats of -o.
const (
	formatText  = "text"
	formatJSON  = "json"
	formatLines = "jsonl"
	formatYAML  = "yaml"
)

// formats are the values of -o.
func formats() []string { return []string{formatText, formatJSON, formatLines, formatYAML} }

// forMachines tells whether results are documents in place of text.
func (p *printer) forMachines() bool { return p.output != "" && p.output != formatText }

// printDoc writes a document to stdout.
func (p *printer) printDoc(v any) error {
	b, err := encodeDoc(p.output, v)
	if err != nil {
		return fmt.Errorf("write result as %s: %w", p.output, err)
	}
	_, err = safely{p.io.Out}.Write(b)
	return err
}

// printList writes a document whose content is a list.
func printList[T any](p *printer, doc any, list []T) error {
	if p.output != formatLines {
		return p.printDoc(doc)
	}
	for _, thing := range list {
		if err := p.printDoc(thing); err != nil {
			return err
		}
	}
	return nil
}

// encodeNext is a document of a number of them that come one after the other.
func encodeNext(format string, v any) ([]byte, error) {
	if format == formatYAML {
		b, err := encodeDoc(format, v)
		return append([]byte("---\n"), b...), err
	}
	return encodeDoc(formatLines, v)
}

// encodeDoc is v in a format for machines, with a line break at its end.
func encodeDoc(format string, v any) ([]byte, error) {
	var b []byte
	var err error
	switch format {
	case formatLines:
		b, err = json.Marshal(v)
	case formatYAML:
		if b, err = json.Marshal(v); err == nil {
			return yamlOf(b)
		}
	default:
		b, err = json.MarshalIndent(v, "", "  ")
	}
	return append(b, '\n'), err
}

// yamlOf makes YAML of JSON, which is YAML already, but for some characters, and hard to
// read. The order of the fields stays.
func yamlOf(data []byte) ([]byte, error) {
	var doc yaml.Node
	text := strings.NewReplacer("\ufffe", `\ufffe`, "\uffff", `\uffff`).Replace(escape.Lines(string(data)))
	if err := yaml.Unmarshal([]byte(text), &doc); err != nil {
		return nil, err
	}
	unfold(&doc)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	if err := e.Encode(&doc); err != nil {
		return nil, err
	}
	err := e.Close()
	return b.Bytes(), err
}

// unfold writes each thing on a line of its own, and texts without quotes where these
// are not needed. Text that is escaped as it is written needs them.
func unfold(n *yaml.Node) {
	if n.Style = 0; n.Kind == yaml.ScalarNode && escape.Line(n.Value) != n.Value {
		n.Style = yaml.DoubleQuotedStyle
	}
	for _, c := range n.Content {
		unfold(c)
	}
}
