package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"os"
	"strings"
	"time"
)

// Identity is what a coordinator makes at each start: a self-signed key pair
// and a token. Only the certificate and the token ever leave the process.
type Identity struct {
	Certificate tls.Certificate
	CertPEM     string
	Token       string // 64 hex digits, 256 bits
}

// NewIdentity makes a fresh P-256 key pair, valid for ten years since the
// pin, not the date, is what a worker checks, and a fresh token.
func NewIdentity() (*Identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a TLS key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("make a serial number: %w", err)
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "mraws coordinator"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.AddDate(10, 0, 0),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign a TLS certificate: %w", err)
	}
	var token [32]byte
	if _, err := rand.Read(token[:]); err != nil {
		return nil, fmt.Errorf("make a token: %w", err)
	}
	return &Identity{
		Certificate: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key},
		CertPEM:     string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		Token:       hex.EncodeToString(token[:]),
	}, nil
}

// Files names an own certificate authority instead of the published
// certificate: mutual TLS, both sides signed by CA. The zero value means
// none.
type Files struct{ CA, Cert, Key string }

// Set says whether any file is named; Check wants all three then.
func (f Files) Set() bool { return f != Files{} }

// load reads the authority's pool and the own key pair.
func (f Files) load() (*x509.CertPool, tls.Certificate, error) {
	if f.CA == "" || f.Cert == "" || f.Key == "" {
		return nil, tls.Certificate{}, errors.New("read TLS files: a CA, a certificate and a key go together")
	}
	ca, err := os.ReadFile(f.CA)
	if err != nil {
		return nil, tls.Certificate{}, fmt.Errorf("read tls-ca: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		return nil, tls.Certificate{}, fmt.Errorf("read tls-ca: no certificate in %s", f.CA)
	}
	pair, err := tls.LoadX509KeyPair(f.Cert, f.Key)
	if err != nil {
		return nil, tls.Certificate{}, fmt.Errorf("read tls-cert and tls-key: %w", err)
	}
	return pool, pair, nil
}

// ReadToken reads a token file: at least 16 bytes, white space around it
// ignored.
func ReadToken(path string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token-file: %w", err)
	}
	t := strings.TrimSpace(string(b))
	if len(t) < 16 {
		return "", fmt.Errorf("read token-file: %s holds fewer than 16 bytes", path)
	}
	return t, nil
}

// pinned makes a client accept exactly the certificate in certPEM. The chain
// and the name are not looked at: the pin says more than either.
func pinned(certPEM string) (*tls.Config, error) {
	block, _ := pem.Decode([]byte(certPEM))
	if block == nil {
		return nil, errors.New("read the coordinator's certificate: no PEM block")
	}
	return &tls.Config{
		MinVersion:         tls.VersionTLS13,
		InsecureSkipVerify: true, //nolint:gosec // VerifyConnection compares the pin
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) == 0 || !bytes.Equal(s.PeerCertificates[0].Raw, block.Bytes) {
				return ErrPin
			}
			return nil
		},
	}, nil
}

// ErrPin means that whoever listens is not the coordinator that the bucket
// names: it was restarted a moment ago, or is another.
var ErrPin = errors.New("the coordinator's certificate is not the one in the bucket")
