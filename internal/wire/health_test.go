package wire

import (
	"context"
	"slices"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/reflection/grpc_reflection_v1"
	"google.golang.org/grpc/status"
)

// dialTool is Dial for tools of others: nothing judges the answers.
func dialTool(t *testing.T, address string, o ClientOptions) *grpc.ClientConn {
	t.Helper()
	creds, err := o.credentials()
	if err != nil {
		t.Fatal(err)
	}
	opts := []grpc.DialOption{grpc.WithTransportCredentials(creds)}
	if o.Token != "" {
		opts = append(opts, grpc.WithPerRPCCredentials(prover{o.Token}))
	}
	conn, err := grpc.NewClient(address, opts...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// healthOf asks what a probe asks, and returns the answer or the code.
func healthOf(ctx context.Context, conn grpc.ClientConnInterface, service string) string {
	r, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
	if err != nil {
		return status.Code(err).String()
	}
	return r.Status.String()
}

// services lists what the reflection service tells, or the code.
func services(ctx context.Context, conn grpc.ClientConnInterface) []string {
	ask := func() (*grpc_reflection_v1.ServerReflectionResponse, error) {
		s, err := grpc_reflection_v1.NewServerReflectionClient(conn).ServerReflectionInfo(ctx)
		if err != nil {
			return nil, err
		}
		defer func() { _ = s.CloseSend() }()
		q := &grpc_reflection_v1.ServerReflectionRequest{MessageRequest: &grpc_reflection_v1.ServerReflectionRequest_ListServices{}}
		if err := s.Send(q); err != nil {
			_, err = s.Recv()
			return nil, err
		}
		return s.Recv()
	}
	r, err := ask()
	if err != nil {
		return []string{status.Code(err).String()}
	}
	var names []string
	for _, s := range r.GetListServicesResponse().GetService() {
		names = append(names, s.Name)
	}
	return names
}

// TestHealth: a probe without the token hears one word, of the process and of
// the service that a standby does not give. It hears nothing of other services
// and no stream.
func TestHealth(t *testing.T) {
	id := identity(t)
	standby := func() error { return Later("the coordinator stands by") }
	const name = "mraws.v1.Coordinator"
	for what, of := range map[string]struct {
		o    ServerOptions
		want string
	}{
		"TLS, leading":   {ServerOptions{Identity: id, Token: id.Token}, "SERVING"},
		"TLS, standby":   {ServerOptions{Identity: id, Token: id.Token, Ready: standby}, "NOT_SERVING"},
		"plain, leading": {ServerOptions{Insecure: true}, "SERVING"},
		"plain, standby": {ServerOptions{Insecure: true, Ready: standby}, "NOT_SERVING"},
	} {
		address := serve(t, of.o)
		conn := dialTool(t, address, ClientOptions{CertPEM: id.CertPEM, Insecure: of.o.Insecure})
		for service, want := range map[string]string{"": "SERVING", name: of.want, "other": codes.NotFound.String()} {
			if got := healthOf(t.Context(), conn, service); got != want {
				t.Errorf("%s, service %q: %s, want %s", what, service, got, want)
			}
		}
		s, err := grpc_health_v1.NewHealthClient(conn).Watch(t.Context(), &grpc_health_v1.HealthCheckRequest{})
		if err == nil {
			_, err = s.Recv()
		}
		if c := status.Code(err); c != codes.Unauthenticated && c != codes.Unimplemented {
			t.Errorf("%s: Watch is answered %v", what, err)
		}
	}
}

// TestProbesAreGuests: a probe takes no place of a member, and may ask a few
// times a connection; TestGuestsEnd shows the end of one that asks on.
func TestProbesAreGuests(t *testing.T) {
	id := identity(t)
	for _, o := range []ServerOptions{{Identity: id, Token: id.Token}, {Insecure: true}} {
		o.Connections = 8 // 2 guests, 5 members
		address := serve(t, o)
		for range 20 {
			conn := dialTool(t, address, ClientOptions{CertPEM: id.CertPEM, Insecure: o.Insecure})
			for range guestCalls {
				if got := healthOf(t.Context(), conn, ""); got != "SERVING" {
					t.Fatalf("a probe is answered %s", got)
				}
			}
			if err := conn.Close(); err != nil {
				t.Error(err)
			}
		}
		if _, err := ask(t, address, ClientOptions{CertPEM: id.CertPEM, Token: o.Token, Insecure: o.Insecure}); err != nil {
			t.Errorf("behind the probes a worker is answered %v", err)
		}
	}
}

// TestReflection: who may call the service hears its schema, and nobody else.
func TestReflection(t *testing.T) {
	id := identity(t)
	address := serve(t, ServerOptions{Identity: id, Token: id.Token, Ready: func() error { return Later("it stands by") }})
	has := func(names []string) bool { return slices.Contains(names, "mraws.v1.Coordinator") }
	if got := services(t.Context(), dialTool(t, address, ClientOptions{CertPEM: id.CertPEM})); len(got) != 1 || got[0] != codes.Unauthenticated.String() {
		t.Errorf("without the token: %v", got)
	}
	if got := services(t.Context(), dialTool(t, address, ClientOptions{CertPEM: id.CertPEM, Token: id.Token})); !has(got) {
		t.Errorf("with the token: %v", got)
	}
	if got := services(t.Context(), dialTool(t, serve(t, ServerOptions{Insecure: true}), ClientOptions{Insecure: true})); !has(got) {
		t.Errorf("in plain text: %v", got)
	}
}
