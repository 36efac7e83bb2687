package mr

// Column is a column of the rows that an app writes, see [App.OutputColumns].
type Column struct {
	Name string
	// Type is [StringColumn] if it is empty.
	Type ColumnType
}

// ColumnType says which fields a column takes. An empty field is no value (null) of
// every type but StringColumn and TextColumn.
type ColumnType string

// The types of columns.
const (
	StringColumn ColumnType = "string" // text of UTF-8
	// TextColumn is text of UTF-8 in which \t, \n, \r and \\ stand for a tab, a line
	// feed, a carriage return and a backslash, as [AppendTSVText] writes them: the cell of
	// the table has the text itself. If the first column is one, the key has a field for
	// each column up to the first that the value has, with tabs between them.
	TextColumn  ColumnType = "text"
	IntColumn   ColumnType = "int"   // a decimal number of 64 bits with sign
	FloatColumn ColumnType = "float" // a number of 64 bits by IEEE 754
	BoolColumn  ColumnType = "bool"  // true or false
	JSONColumn  ColumnType = "json"  // any value of JSON
)
