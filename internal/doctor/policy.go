package doctor

import (
	"slices"
	"strings"
)

// Policy is an IAM policy
// (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html).
type Policy struct {
	Version   string      `json:"Version"`
	Statement []Statement `json:"Statement"`
}

// Statement allows actions on resources.
type Statement struct {
	Effect   string   `json:"Effect"`
	Action   []string `json:"Action"`
	Resource []string `json:"Resource"`
}

// Missing is the policy that allows what was denied; no Statement is nothing.
func Missing(bucket string, all []Permission) Policy {
	p := Policy{Version: "2012-10-17", Statement: []Statement{}}
	for _, perm := range all {
		if perm.Denied() {
			p.allow(perm.Action, resource(bucket, perm.Dir))
		}
	}
	return p
}

// Listing is the policy that allows to list the bucket, without which it cannot be opened.
func Listing(bucket string) Policy {
	p := Policy{Version: "2012-10-17"}
	p.allow("s3:ListBucket", resource(bucket, ""))
	return p
}

// allow adds an action to the statement of its resource, and a resource to that of its
// action.
func (p *Policy) allow(action, resource string) {
	for i := range p.Statement {
		switch s := &p.Statement[i]; {
		case slices.Equal(s.Action, []string{action}) && !slices.Contains(s.Resource, resource):
			s.Resource = append(s.Resource, resource)
			return
		case slices.Equal(s.Resource, []string{resource}) && !slices.Contains(s.Action, action):
			s.Action = append(s.Action, action)
			return
		}
	}
	p.Statement = append(p.Statement, Statement{Effect: "Allow", Action: []string{action}, Resource: []string{resource}})
}

// resource is the ARN of the bucket, or of all objects below a folder of it.
func resource(bucket, dir string) string {
	arn := "arn:aws:s3:::" + bucket
	if dir != "" {
		arn += "/" + strings.TrimSuffix(dir, "/") + "/*"
	}
	return arn
}
