package s3local

import "github.com/versity/versitygw/backend"

// guards selects what is mended; a test leaves one out to show the fault.
type guards struct{ bodies, keys, parents, accounts bool }

var allGuards = guards{true, true, true, true}

func (s *store) guarded(g guards) backend.Backend { return s }
