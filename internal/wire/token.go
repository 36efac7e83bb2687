package wire

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
)

// The token is never sent. Each side proves that it has it: by an HMAC, under
// the token, of a value that TLS derives from the handshake (RFC 9266, RFC 8446
// section 7.5), so from the nonces of both sides, the keys that they agreed on
// and the certificate of the coordinator. A proof is of use on that connection
// alone: whoever lures a worker to a certificate of his own learns nothing that
// opens another door, and cannot answer with a proof himself. The coordinator
// answers with its own only to whoever has shown one.

// Roles in a proof.
const (
	ofWorker      = "mraws worker"
	ofCoordinator = "mraws coordinator"
)

const (
	proofScheme = "mraws-proof "
	proofHeader = "mraws-proof"
)

// proof shows that a role knows the token, on one connection.
func proof(info credentials.AuthInfo, role, token string) (string, error) {
	tls, ok := info.(credentials.TLSInfo)
	if !ok {
		return "", errors.New("prove the token: the connection has no TLS")
	}
	bound, err := tls.State.ExportKeyingMaterial("EXPORTER-mraws-token", nil, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("prove the token: %w", err)
	}
	mac := hmac.New(sha256.New, []byte(token))
	mac.Write([]byte(role + "\x00"))
	mac.Write(bound)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// shown tells whether the headers of a call prove the token, if one is asked
// for. It is called by the goroutine that reads from the connection.
func (o *ServerOptions) shown(c caller, sent []string) bool {
	if o.Token == "" {
		return true
	}
	if len(sent) != 1 {
		return false
	}
	if c.guest.proof == "" {
		p, err := proof(c.AuthInfo, ofWorker, o.Token)
		if err != nil {
			return false
		}
		c.guest.proof = p
	}
	return subtle.ConstantTimeCompare([]byte(sent[0]), []byte(proofScheme+c.guest.proof)) == 1
}

// answer proves the token to whoever has shown it.
func (o *ServerOptions) answer(ctx context.Context, req any, _ *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if c, ok := callerOf(ctx); ok && o.Token != "" && c.guest.known.Load() {
		p, err := proof(c.AuthInfo, ofCoordinator, o.Token)
		if err == nil {
			err = grpc.SetHeader(ctx, metadata.Pairs(proofHeader, p))
		}
		if err != nil {
			return nil, status.Errorf(codes.Internal, "answer with a proof: %v", err)
		}
	}
	return next(ctx, req)
}

// prover sends a proof with every call.
type prover struct{ token string }

// GetRequestMetadata implements credentials.PerRPCCredentials.
func (p prover) GetRequestMetadata(ctx context.Context, _ ...string) (map[string]string, error) {
	info, ok := credentials.RequestInfoFromContext(ctx)
	if !ok {
		return nil, errors.New("prove the token: the connection is unknown")
	}
	text, err := proof(info.AuthInfo, ofWorker, p.token)
	if err != nil {
		return nil, err
	}
	return map[string]string{"authorization": proofScheme + text}, nil
}

// RequireTransportSecurity implements credentials.PerRPCCredentials.
func (prover) RequireTransportSecurity() bool { return true }

// errNoProof is what an answer comes to of somebody who does not know the
// token: the two sides have others, or it is an impostor.
var errNoProof = status.Error(codes.Unauthenticated, "who listens there has not proved that it knows the token")

// demand believes no answer without the coordinator's proof.
func (p prover) demand(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	var header metadata.MD
	var who peer.Peer
	if err := invoke(ctx, method, req, reply, cc, append(opts, grpc.Header(&header), grpc.Peer(&who))...); err != nil {
		return err
	}
	want, err := proof(who.AuthInfo, ofCoordinator, p.token)
	if err != nil {
		return status.Error(codes.Unauthenticated, err.Error())
	}
	if got := header.Get(proofHeader); len(got) != 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(want)) != 1 {
		return errNoProof
	}
	return nil
}
