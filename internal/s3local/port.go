package s3local

import (
	"net"
	"net/url"
	"path/filepath"
	"strconv"

	"github.com/mraws/mraws/internal/datadir"
)

// lastPort is port.json: where the folder's last server listened.
type lastPort struct{ Port int }

// lastAddress is an address on host with the port of the folder's last
// server; "" if there was none.
func (s *Server) lastAddress(host string) string {
	var last lastPort
	if datadir.ReadJSON(filepath.Join(s.dir, datadir.PortFile), &last) != nil || last.Port < 1 || last.Port > 65535 {
		return ""
	}
	return net.JoinHostPort(host, strconv.Itoa(last.Port))
}

// keepPort notes the port for the folder's next server.
func (s *Server) keepPort() error {
	u, err := url.Parse(s.endpoint.URL)
	if err != nil {
		return err
	}
	port, err := strconv.Atoi(u.Port())
	if err != nil {
		return err
	}
	return datadir.WriteJSON(filepath.Join(s.dir, datadir.PortFile), lastPort{port})
}
