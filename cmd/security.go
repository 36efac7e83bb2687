package cmd

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"

	"github.com/mraws/mraws/internal/wire"
)

// tlsFiles are the files of an own authority, if configured.
func (s *session) tlsFiles() wire.Files {
	return wire.Files{CA: s.conf.TLSCA, Cert: s.conf.TLSCert, Key: s.conf.TLSKey}
}

// ownToken reads the configured token file; "" if there is none.
func (s *session) ownToken() (string, error) {
	if s.conf.TokenFile == "" {
		return "", nil
	}
	token, err := wire.ReadToken(s.conf.TokenFile)
	if err != nil {
		return "", &Error{Code: ExitUsage, What: "the token file cannot be used", Cause: err}
	}
	if info, err := os.Stat(s.conf.TokenFile); err == nil && info.Mode()&0o004 != 0 {
		s.tokenWarning.Do(func() {
			s.log.Warn().Str("file", s.conf.TokenFile).Stringer("mode", info.Mode().Perm()).
				Msg("every user of this machine can read the token file, and join the job with it: chmod o-r")
		})
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
	token, err := s.ownToken()
	if err != nil {
		return o, false, err
	}
	if files := s.tlsFiles(); files.Set() {
		return wire.ServerOptions{Files: files, Token: token}, false, nil
	}
	id, err := wire.NewIdentity()
	if err != nil {
		return o, false, err
	}
	if token != "" {
		return wire.ServerOptions{Identity: id, Token: token}, false, nil
	}
	return wire.ServerOptions{Identity: id, Token: id.Token}, true, nil
}

// listen opens the coordinator's port. host is where to listen if nothing is
// configured: "" is everywhere.
func (s *session) listen(host string, port int) (net.Listener, error) {
	if s.conf.Listen != "" {
		host = s.conf.Listen
	}
	address := net.JoinHostPort(host, strconv.Itoa(port))
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
// configured one, the one listened on, or every address of the machine that
// another could reach, and loopback if there is none.
func (s *session) advertised(lis net.Listener) ([]string, error) {
	host, port, err := net.SplitHostPort(lis.Addr().String())
	if err != nil {
		return nil, fmt.Errorf("read the listening address: %w", err)
	}
	if a := s.conf.Advertise; a != "" {
		if _, _, err := net.SplitHostPort(a); err != nil {
			a = net.JoinHostPort(a, port)
		}
		return []string{a}, nil
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
