package cmd

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/escape"
)

// openLog begins the log of a command: on stderr, or in the file of the key log-file,
// which close closes.
func (p *printer) openLog(conf *config.Loaded) (close func() error, err error) {
	p.log, p.progress = newLogger(conf, p.io.Err, p.term.err), conf.Progress
	if conf.LogFile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.OpenFile(conf.LogFile, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o640)
	if err != nil {
		return nil, &Error{Code: ExitUsage, What: "cannot write the log", Cause: err, Hint: "check --log-file"}
	}
	p.log = newLogger(conf, f, false)
	return f.Close, nil
}

// newLogger returns a logger that writes to a stream: lines for people on a terminal,
// JSON elsewhere. Fields have the same few names everywhere: job task attempt worker key
// bytes dur err.
func newLogger(conf *config.Loaded, to io.Writer, terminal bool) zerolog.Logger {
	level, err := zerolog.ParseLevel(conf.LogLevel)
	if err != nil { // the configuration allows no such level
		level = zerolog.InfoLevel
	}
	asText := conf.LogFormat == "text" || (conf.LogFormat == "auto" && terminal)
	if !asText {
		return zerolog.New(safely{to}).Level(level).With().Timestamp().Logger()
	}
	if conf.Color == "always" { // zerolog asks for NO_COLOR itself, and knows no flag
		_ = os.Unsetenv("NO_COLOR") // fails on no system that we know
	}
	w := zerolog.ConsoleWriter{
		Out:        to,
		NoColor:    !colour(conf, terminal),
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
// (https://no-color.org), then CLICOLOR_FORCE, then TERM, then whether it is a terminal.
func colour(conf *config.Loaded, tty bool) bool {
	switch conf.Color {
	case "always":
		return true
	case "never":
		return false
	}
	if os.Getenv("NO_COLOR") != "" {
		return false
	}
	if force := os.Getenv("CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return tty && os.Getenv("TERM") != "dumb"
}
