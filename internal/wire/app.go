package wire

import "github.com/mraws/mraws/mr"

// DescribeApp says of an app what a coordinator must know that does not have
// its code, with the parameters given on the caller's command line.
func DescribeApp(a mr.App, params map[string]string) *App {
	w := &App{Name: a.Name, Version: a.Version, Input: int32(a.Input), Params: params, Defaults: map[string]string{}, SideEffects: a.SideEffects, Ordered: a.Ordered}
	for _, p := range a.Params {
		if p.Required {
			w.Required = append(w.Required, p.Name)
		} else {
			w.Defaults[p.Name] = p.Default
		}
	}
	return w
}
