package cmd

import (
	"cmp"
	"strings"

	"github.com/mraws/mraws/internal/manifest"
	"github.com/mraws/mraws/mr"
)

// order is the order of keys and values, and the partitioner, that the job names
// itself; nil is what its code declares. app is nil if it is not known yet, or if the
// job has other code. Executables that write lines have the order of keys in their
// own spec.
func (o *jobFlags) order(app *mr.App, nreduce int) (order *manifest.Order, partitioner *manifest.Choice, err error) {
	x := &o.exec
	given := x.ofKeys()
	if len(given) == 0 {
		return nil, nil, nil
	}
	if nreduce == 0 {
		return nil, nil, usagef("leave out "+strings.Join(given, " and ")+", or have reduce tasks", "the output of a map-only job is in the order of its input")
	}
	order = &manifest.Order{Keys: manifest.ByBytes, Values: cmp.Or(x.sortValues, manifest.ByInput)}
	if app != nil && x.sortValues == "" {
		order.Values = cmp.Or(string(app.SortValues), manifest.ByInput)
	}
	if o.code == nil || o.code.spec.App.Exec.Module != nil || o.code.spec.App.Exec.Records != "" {
		if partitioner, err = x.keys(order); err != nil {
			return nil, nil, err
		}
	}
	if x.totalOrder {
		if partitioner != nil || o.code != nil && o.code.spec.App.Exec.PartitionFields > 0 {
			return nil, nil, usagef("leave out one of them", "--total-order gives each reduce task a range of the keys, and --partition-fields the keys of a hash")
		}
		if app != nil && app.SideEffects {
			return nil, nil, usagef("leave out --total-order", "--total-order maps some of the input twice, and app %s has side effects", app.Name)
		}
		partitioner = &manifest.Choice{Name: manifest.Range}
	} else if partitioner != nil && app != nil && app.Ordered {
		return nil, nil, usagef("leave out --partition-fields", "app %s orders its output across all reduce tasks, and --partition-fields would end that", app.Name)
	}
	return order, partitioner, nil
}

// keys adds what the flags say of the keys of pairs to an order.
func (o *execFlags) keys(order *manifest.Order) (partitioner *manifest.Choice, err error) {
	fields, err := o.sortFields()
	if err != nil {
		return nil, err
	}
	if fields != nil {
		order.Keys, order.Fields = manifest.ByFields, fields.String()
	}
	order.Separator = o.keySeparator
	from, to, err := fieldRange(o.partitionFields)
	if err != nil || to == 0 {
		return nil, err
	}
	c := manifest.PartitionFields(max(from, 1), to)
	return &c, nil
}
