package cmd

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/rs/zerolog"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/wire"
)

// tlsFiles are the files of an own authority, if configured.
func tlsFiles(c *config.Loaded) wire.Files {
	return wire.Files{CA: c.TLSCA, Cert: c.TLSCert, Key: c.TLSKey}
}

// readToken reads a token file. The token is "" if there is no file.
func readToken(file string, log zerolog.Logger) (string, error) {
	if file == "" {
		return "", nil
	}
	token, err := wire.ReadToken(file)
	if err != nil {
		return "", &Error{Code: ExitUsage, What: "the token file cannot be used", Cause: err}
	}
	if info, err := os.Stat(file); err == nil && info.Mode()&0o004 != 0 {
		log.Warn().Str("file", file).Stringer("mode", info.Mode().Perm()).
			Msg("every user of this machine can read the token file, and join the job with it: chmod o-r")
	}
	return token, nil
}

// serverSecurity is how this coordinator guards its port, and whether its
// token goes into the bucket.
func (s *session) serverSecurity() (o wire.ServerOptions, publish bool, err error) {
	if s.conf.Insecure {
		s.log.Warn().Msg("--insecure: anyone who can reach the port can join the job, read its parameters and end it")
		return wire.ServerOptions{Insecure: true}, false, nil
	}
	token, err := s.token()
	if err != nil {
		return o, false, err
	}
	if files := tlsFiles(s.conf); files.Set() {
		return wire.ServerOptions{Files: files, Token: token}, false, nil
	}
	id, err := wire.NewIdentity()
	if err != nil {
		return o, false, err
	}
	return wire.ServerOptions{Identity: id, Token: cmp.Or(token, id.Token)}, token == "", nil
}

// listen opens the coordinator's port. host is where to listen if nothing is
// configured: "" is everywhere.
func listen(c *config.Loaded, host string, port int) (net.Listener, error) {
	address := net.JoinHostPort(cmp.Or(c.Listen, host), strconv.Itoa(port))
	lis, err := net.Listen("tcp", address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, &Error{Code: ExitConflict, What: "cannot listen on " + address, Cause: err,
			Hint: "another coordinator may be running here: choose another --port, or 0 for any"}
	case err != nil:
		return nil, &Error{Code: ExitUsage, What: "cannot listen on " + address, Cause: err,
			Hint: "check --listen and --port"}
	}
	return lis, nil
}

// advertised lists the addresses that workers are told for lis: the
// configured one (own), the one listened on, or every address of the machine that
// another could reach, and loopback if there is none.
func advertised(own string, lis net.Listener) ([]string, error) {
	host, port, err := net.SplitHostPort(lis.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("read the listening address: %w", err)
	}
	if own != "" {
		if _, _, err := net.SplitHostPort(own); err != nil {
			own = net.JoinHostPort(own, port)
		}
		return []string{own}, nil
	}
	if ip := net.ParseIP(host); ip == nil || !ip.IsUnspecified() {
		return []string{net.JoinHostPort(host, port)}, nil
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return nil, fmt.Errorf("list the machine's addresses: %w", err)
	}
	var out []string
	for _, a := range addrs {
		ip, ok := a.(*net.IPNet)
		if ok && ip.IP.IsGlobalUnicast() {
			out = append(out, net.JoinHostPort(ip.IP.String(), port))
		}
	}
	return append(out, net.JoinHostPort("127.0.0.1", port)), nil
}
