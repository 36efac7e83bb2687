package s3local

import (
	"github.com/versity/versitygw/auth"
	"github.com/versity/versitygw/s3api/middlewares"
)

// iam knows no account besides the root account, which the server looks up
// itself. versitygw's own service for this case answers with an error that
// becomes 404, which reads as a missing bucket; S3 answers 403
// InvalidAccessKeyId.
type iam struct{ auth.IAMService }

func newIAM(root middlewares.RootUserConfig, g guards) auth.IAMService {
	single := auth.NewIAMServiceSingle(auth.Account{Access: root.Access, Secret: root.Secret, Role: auth.RoleAdmin})
	if !g.accounts {
		return single
	}
	return iam{single}
}

// GetUserAccount finds no account.
func (iam) GetUserAccount(string) (auth.Account, error) {
	return auth.Account{}, auth.ErrNoSuchUser
}
