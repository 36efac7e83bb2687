package s3local

import (
	"sync/atomic"

	"github.com/gofiber/fiber/v3"
)

// connections of the front end: which to close early, and whether any is
// left. The front end hands itself out with a request only, so until the
// first one nothing is known.
type connections struct {
	most int // that there may be
	app  atomic.Pointer[fiber.App]
}

// reclaim closes connections after their reply while more than half of those
// that there may be are open. Else idle ones of some clients could keep all
// others out.
func (n *connections) reclaim(c fiber.Ctx) error {
	err := c.Next()
	n.app.Store(c.App())
	if int(c.App().Server().GetOpenConnectionsCount()) > n.most/2 {
		c.RequestCtx().SetConnectionClose()
	}
	return err
}

// gone tells whether there were connections and all of them are closed.
func (n *connections) gone() bool {
	app := n.app.Load()
	return app != nil && app.Server().GetOpenConnectionsCount() <= 0
}
