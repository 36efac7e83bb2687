package cmd

import (
	"fmt"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/escape"
)

// newLogger returns the logger of a command: lines for people on a terminal,
// JSON elsewhere, always on stderr. Fields have the same few names
// everywhere: job task attempt worker key bytes dur err.
func (p *printer) newLogger(conf *config.Loaded) zerolog.Logger {
	level, err := zerolog.ParseLevel(conf.LogLevel)
	if err != nil { // the configuration allows no such level
		level = zerolog.InfoLevel
	}
	asText := conf.LogFormat == "text" || (conf.LogFormat == "auto" && p.term.err)
	if !asText {
		return zerolog.New(safely{p.io.Err}).Level(level).With().Timestamp().Logger()
	}
	w := zerolog.ConsoleWriter{
		Out:        p.io.Err,
		NoColor:    !colour(conf, p.term.err),
		TimeFormat: time.TimeOnly,
		// It quotes the values of fields, but not the message.
		FormatPrepare: func(event map[string]any) error {
			if text, ok := event[zerolog.MessageFieldName].(string); ok {
				event[zerolog.MessageFieldName] = escape.Line(text)
			}
			return nil
		},
		FormatFieldValue: func(v any) string { return escape.Line(fmt.Sprintf("%s", v)) },
	}
	return zerolog.New(w).Level(level).With().Timestamp().Logger()
}

// colour tells whether to colour a stream: --color, then NO_COLOR
// (https://no-color.org), then TERM, then whether it is a terminal.
func colour(conf *config.Loaded, tty bool) bool {
	switch conf.Color {
	case "always":
		return true
	case "never":
		return false
	}
	return tty && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
