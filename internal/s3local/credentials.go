package s3local

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/versity/versitygw/backend/meta"

	"github.com/mraws/mraws/internal/datadir"
)

// credentials are the key pair of the only account of a server.
type credentials struct {
	AccessKey string
	SecretKey string
}

// loadCredentials returns the key pair of the data folder, which is generated and
// written on first use.
func loadCredentials(dir string) (credentials, error) {
	name := filepath.Join(dir, datadir.CredentialsFile)
	var c credentials
	err := datadir.ReadJSON(name, &c)
	if errors.Is(err, fs.ErrNotExist) {
		// The shape of AWS's own keys, 20 and 40 characters, with about 80
		// and 200 random bits: some tools check the lengths.
		c = credentials{"MRAWS" + rand.Text()[:15], (rand.Text() + rand.Text())[:40]}
		if id := ownerOf(filepath.Join(dir, datadir.Root)); id != "" {
			c.AccessKey = id
		}
		return c, datadir.WriteJSON(name, c)
	}
	if err == nil && (c.AccessKey == "" || c.SecretKey == "") {
		err = fmt.Errorf("read %s: a key is empty", name)
	}
	if err != nil {
		return credentials{}, &datadir.CredentialsError{File: name, Err: err}
	}
	return c, nil
}

// ownerOf returns the key id of the owner of a store's buckets, "" without buckets. A
// new pair for a store whose credentials were removed gets that id, since only the
// owner may use a bucket.
func ownerOf(root string) string {
	buckets, err := os.ReadDir(root)
	if err != nil {
		return ""
	}
	for _, b := range buckets {
		data, err := meta.XattrMeta{}.RetrieveAttribute(nil, filepath.Join(root, b.Name()), "", "acl")
		var acl struct{ Owner string }
		if err == nil && json.Unmarshal(data, &acl) == nil && acl.Owner != "" {
			return acl.Owner
		}
	}
	return ""
}
