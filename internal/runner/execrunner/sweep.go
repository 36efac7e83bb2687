package execrunner

import (
	"crypto/rand"
	"strconv"
	"strings"
)

// scopeVariable marks the processes of a host in their environment, so that those
// are found that have left their process group.
const scopeVariable = "MRAWS_SCOPE"

// newScope is a mark that no other host has.
func newScope() string { return strings.ToLower(rand.Text()[:20]) }

// nextScope is the mark of one process. It begins with that of the host.
func (h *Host) nextScope() string {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.next++
	return h.scope + "-" + strconv.Itoa(h.next) + "."
}
