// Package page is the page of the dashboard: its files, which are part of the program. The page
// needs a server that answers below /api/ as internal/dashboard does, and loads nothing from
// anywhere else. It works under a policy that allows scripts and styles from its own server only.
//
//	index.html    the sections, with the places that the scripts fill
//	style.css     both colour schemes, one column on a phone
//	theme.js      sets the scheme that was chosen before anything is drawn
//	app.js        the list of jobs, or one job, as the address says
//	job.js        what the view of a job says
//	stream.js     server-sent events with resume
//	attempts.js   all attempts in typed arrays
//	timeline.js   the canvas of the attempts
//	charts.js     charts by uPlot
//	dom.js        elements and tables of pages; data becomes text, never markup
//	format.js     numbers as text
//	uplot.js      uPlot 1.6.32, uplot.css, and its licence
package page

import (
	"embed"
	"io/fs"
)

//go:embed assets
var assets embed.FS

// Assets are the files of the page by their names, index.html among them.
var Assets = sub()

func sub() fs.FS {
	files, err := fs.Sub(assets, "assets")
	if err != nil {
		panic(err) // the name is valid
	}
	return files
}
