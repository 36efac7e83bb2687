// Package protocol holds the model of the commit protocol: every state that a
// small job can reach, whatever is lost, doubled, late, crashed or paused, is
// generated and checked by the package's tests. The model is the executable
// form of docs/protocol.md, and docs/protocol-model.md explains why what holds
// in it holds for the program.
//
// [CheckTrace] asks the model whether a real run took only steps that the
// model has. No program but tests imports this package.
//
// TestProtocol explores the protocol as implemented. TestMutants explores
// broken variants of it, each of which has to be caught. With -model.full
// both the tasks and the attempts are as many as a few minutes allow.
package protocol
