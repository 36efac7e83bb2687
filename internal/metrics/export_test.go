package metrics

import "fmt"

// Names lists what the page shows now, but for go_* and process_*, sorted,
// each with the type that the page gives it.
func (p *Page) Names() (map[string]string, error) {
	families, err := p.reg.Gather()
	if err != nil {
		return nil, fmt.Errorf("gather metrics: %w", err)
	}
	names := make(map[string]string)
	for _, f := range families {
		names[f.GetName()] = f.GetType().String()
	}
	return names, nil
}
