package chain

import (
	"bytes"
	"encoding/json"
)

// object is a part of a schema. encoding/json orders its keys, so that the same keys of
// steps give the same bytes.
type object = map[string]any

// Schema returns a JSON Schema (draft 7, which editors know) of files whose steps may
// have these keys.
func Schema(keys []Key) ([]byte, error) {
	scalar := object{"type": []string{"string", "number", "boolean"}}
	names := object{"oneOf": []any{object{"$ref": "#/definitions/name"}, object{"type": "array", "items": object{"$ref": "#/definitions/name"}}}}
	settings, step, inner := object{}, object{}, object{}
	for _, k := range keys {
		settings[k.Name] = k.schema()
		step[k.Name], inner[k.Name] = settings[k.Name], settings[k.Name]
	}
	for _, of := range []object{step, inner} {
		of["name"] = object{"$ref": "#/definitions/name", "description": "name of the step; its job lies below PREFIX/CHAIN/NAME/"}
		of["from"] = describe(names, "earlier steps whose output the step reads; in a round also: "+Round+", the input of the round")
		of["input"] = object{"$ref": "#/definitions/texts", "description": "files, folders and globs, relative to this file, and s3://bucket/folder/"}
	}
	step["repeat"] = object{
		"type": "object", "additionalProperties": false, "required": []string{"at-most"},
		"description": "run the step again, each time on the output of the time before",
		"properties": object{
			"until":   object{"type": "string", "description": "condition that ends the rounds, such as: counter moved == 0"},
			"at-most": object{"type": []string{"integer", "string"}, "description": "largest number of rounds"},
			"keep":    object{"enum": []string{"all", "last"}, "default": "all", "description": "last removes the jobs of rounds but the first and the last two"},
		},
	}
	step["steps"] = object{"type": "array", "minItems": 1, "items": object{"$ref": "#/definitions/inner"}, "description": "the steps of a round; the last one makes its output"}
	of := func(properties object) object {
		return object{"type": "object", "additionalProperties": false, "required": []string{"name"}, "properties": properties}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(object{
		"$schema": "http://json-schema.org/draft-07/schema#",
		"title":   "chain of jobs of mraws",
		"type":    "object", "additionalProperties": false, "required": []string{"steps"},
		"properties": object{
			"name":     object{"type": "string", "description": "name of the chain; without it that of the file"},
			"params":   object{"type": "object", "additionalProperties": object{"type": []string{"string", "number", "boolean", "null"}}, "description": "parameters and their defaults, for ${params.NAME}; one without a value has to be set"},
			"defaults": object{"type": "object", "additionalProperties": false, "properties": settings, "description": "keys of all steps that do not have them"},
			"steps":    object{"type": "array", "minItems": 1, "items": object{"$ref": "#/definitions/step"}},
		},
		"definitions": object{
			"name":  object{"type": "string", "pattern": validStep.String()},
			"texts": object{"oneOf": []any{scalar, object{"type": "array", "items": scalar}}},
			"pairs": object{"oneOf": []any{scalar, object{"type": "array", "items": scalar}, object{"type": "object", "additionalProperties": scalar}}},
			"step":  of(step),
			"inner": of(inner),
		},
	})
	return b.Bytes(), err
}

// describe adds a description.
func describe(of object, text string) object {
	with := object{"description": text}
	for k, v := range of {
		with[k] = v
	}
	return with
}

// schema is that of the values of a key. Each may be a reference.
func (k Key) schema() object {
	of := object{"type": "string"}
	switch {
	case k.Kind == List:
		of = object{"$ref": "#/definitions/pairs"}
	case k.Kind == Switch:
		of = object{"oneOf": []any{object{"type": "boolean"}, object{"type": "string", "pattern": `\$\{`}}}
	case k.Kind == Number:
		of = object{"type": []string{"integer", "string"}}
	case len(k.Choices) > 0:
		of = object{"oneOf": []any{object{"enum": k.Choices}, object{"type": "string", "pattern": `\$\{`}}}
	default:
		of["type"] = []string{"string", "number"}
	}
	of["description"] = k.Help
	if k.Default != "" && k.Kind == Text {
		of["default"] = k.Default
	}
	return of
}
