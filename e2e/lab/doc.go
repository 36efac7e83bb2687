// Package lab is where whole jobs run over a network that fails: hosts with
// an address each, real mraws processes on them, and links that can be cut,
// slowed down and made to lose packets. The tests of e2e/network and the
// command e2e/chaos stand on it.
//
// Each [Host] is a network namespace with one TUN device, and the wires
// between the devices are a goroutine of this process that copies IP packets
// (see [Network]). So the TCP of the kernel is the real one on both sides,
// while what becomes of a packet is decided in Go: nothing needs netem,
// nftables, a bridge or iproute2, a cut in one direction is one comparison,
// and nothing is left behind when the process dies. It takes the right to
// make namespaces and TUN devices: root, or root of a user namespace
// (unshare -Ur).
package lab
