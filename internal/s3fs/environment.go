package s3fs

import (
	"context"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Environment is what the SDK makes of options and AWS environment together.
type Environment struct {
	Region      string   // that requests are signed for; "" is that of the bucket, which AWS is asked for
	Endpoint    string   // without credentials; "" is AWS
	Profile     string   // that is read of the shared AWS configuration; "" if there is none
	Credentials []string // the sources of credentials, such as "environment variables"
}

// Resolve returns the environment of a store with these options. It sends no
// request and returns no secret.
func Resolve(ctx context.Context, o Options) (Environment, error) {
	cfg, err := loadConfig(ctx, o)
	if err != nil {
		return Environment{}, err
	}
	so := s3.NewFromConfig(cfg, (&Store{o: o}).configure).Options()
	env := Environment{Region: so.Region}
	if so.BaseEndpoint != nil {
		env.Endpoint = bareURL(*so.BaseEndpoint)
	}
	for _, source := range cfg.ConfigSources {
		if shared, ok := source.(config.SharedConfig); ok {
			env.Profile = shared.Profile
		}
	}
	if provider, ok := cfg.Credentials.(aws.CredentialProviderSource); ok {
		for _, source := range provider.ProviderSources() {
			if name := sourceName(source); !slices.Contains(env.Credentials, name) {
				env.Credentials = append(env.Credentials, name)
			}
		}
	}
	return env, nil
}

// sourceName names a source of credentials for people.
func sourceName(source aws.CredentialSource) string {
	switch source {
	case aws.CredentialSourceEnvVars:
		return "environment variables"
	case aws.CredentialSourceEnvVarsSTSWebIDToken, aws.CredentialSourceProfileSTSWebIDToken, aws.CredentialSourceSTSAssumeRoleWebID:
		return "web identity token"
	case aws.CredentialSourceProfile, aws.CredentialSourceProfileSourceProfile, aws.CredentialSourceProfileNamedProvider:
		return "profile"
	case aws.CredentialSourceSTSAssumeRole, aws.CredentialSourceSTSAssumeRoleSaml:
		return "assumed role"
	case aws.CredentialSourceProfileSSO, aws.CredentialSourceProfileSSOLegacy, aws.CredentialSourceSSO, aws.CredentialSourceSSOLegacy:
		return "single sign-on"
	case aws.CredentialSourceProfileLogin, aws.CredentialSourceLogin:
		return "aws login"
	case aws.CredentialSourceProfileProcess, aws.CredentialSourceProcess:
		return "credential process"
	case aws.CredentialSourceHTTP:
		return "container role"
	case aws.CredentialSourceIMDS:
		return "instance role, if any"
	}
	return "other"
}
