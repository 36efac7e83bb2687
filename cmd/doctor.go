package cmd

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/mraws/mraws/internal/config"
	"github.com/mraws/mraws/internal/doctor"
	"github.com/mraws/mraws/internal/object"
	"github.com/mraws/mraws/internal/s3fs"
	"github.com/mraws/mraws/internal/status"
)

// finding is a line of what doctor finds.
type finding struct {
	Check string `json:"check"`
	// State is "ok", "wrong", or "unknown" where it could not be tried.
	State string `json:"state"`
	What  string `json:"what"`
	Fix   string `json:"fix,omitempty"`
	code  int    // exit code if it is wrong
}

// examination is one run of doctor.
type examination struct {
	*session
	commands []string
	findings []finding
	denied   []doctor.Permission
	unlisted bool // the bucket may not be listed
}

// doctorFlags are those of `doctor`.
type doctorFlags struct {
	commands  []string
	fixPolicy bool
}

func (f *frame) doctorCommand() *cobra.Command {
	o := &doctorFlags{}
	all := []string{doctor.Coordinator, doctor.Worker, doctor.Verify, doctor.Reset, doctor.Upload}
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Try whether this machine can run jobs here",
		Long: "Try for real what jobs need: credentials, bucket and region, each permission, conditional writes,\n" +
			"the clock, scratch space, memory and file descriptors, and, where a coordinator is announced,\n" +
			"whether its port is reached from here and which version it has. What is wrong has a line that\n" +
			"says what to do. Nothing is left in the bucket. Run it on the machine of a worker while the\n" +
			"coordinator runs: that tries the way that the worker goes.",
		Example: "  " + f.name + " doctor --bucket my-bucket\n  " + f.name + " doctor --for worker --bucket my-bucket\n" +
			"  " + f.name + " doctor --fix-policy --bucket my-bucket",
		Args: cobra.NoArgs,
		RunE: f.run(func(ctx context.Context, s *session, _ []string) error {
			e := &examination{session: s, commands: o.commands}
			if err := e.examine(ctx); err != nil {
				return err
			}
			return e.tell(o.fixPolicy)
		}),
	}
	c.Flags().Var(&severalOf{&o.commands, all}, "for", "try only what these commands need: "+strings.Join(all, ", ")+"; several with commas")
	c.Flags().BoolVar(&o.fixPolicy, "fix-policy", false, "print the IAM policy that is missing, and nothing else")
	_ = c.RegisterFlagCompletionFunc("for", cobra.FixedCompletions(all, cobra.ShellCompDirectiveNoFileComp)) // fails for an unknown flag
	config.AddFlags(c.Flags(), "scratch", "memory", "tls-ca", "tls-cert", "tls-key", "token-file")
	return c
}

// examine tries one thing after the other. Its error is that of an end by a signal.
func (e *examination) examine(ctx context.Context) error {
	e.machine()
	st, err := e.openStore(ctx, found)
	if err != nil {
		e.closed(ctx, err)
		return context.Cause(ctx)
	}
	defer st.Close() // nothing is written that could be lost
	e.opened(st)
	if e.permissions(ctx, st) {
		e.conditions(ctx, st)
	} else {
		e.add(finding{Check: "conditional writes", State: "unknown", What: "they need the permissions above"})
	}
	e.coordinator(ctx, st)
	return context.Cause(ctx)
}

func (e *examination) add(f finding)         { e.findings = append(e.findings, f) }
func (e *examination) ok(check, what string) { e.add(finding{Check: check, State: "ok", What: what}) }
func (e *examination) wrong(check string, err error) {
	e.wrongly(check, explain(context.Background(), err))
}

func (e *examination) wrongly(check string, err *Error) {
	e.add(finding{Check: check, State: "wrong", What: err.Error(), Fix: e.paste(err.Hint), code: err.Code})
}

// machine looks at this machine: memory, descriptors and scratch space.
func (e *examination) machine() {
	conf := e.conf
	if e.slots = conf.Slots; e.slots == 0 {
		e.slots = e.cores()
	}
	if err := e.setMemory(conf.Memory); err != nil {
		e.wrong("memory", err)
	} else {
		e.ok("memory", fmt.Sprintf("%s for %s", bytesText(e.memory), countText(int64(e.slots), "slot")))
	}
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		e.wrong("descriptors", err)
	} else if need := uint64(needDescriptors(e.slots, conf.S3Concurrency)); files.Cur < need {
		e.wrongly("descriptors", usagef(fmt.Sprintf("`ulimit -n %d` in the shell that starts it, LimitNOFILE= in a systemd unit, or fewer --slots", need),
			"the limit of file descriptors is %d, and %s need %d", files.Cur, countText(int64(e.slots), "slot"), need))
	} else {
		e.ok("descriptors", fmt.Sprintf("a limit of %d, of which %d are needed", files.Cur, need))
	}
	e.scratch()
}

// leastScratch is the free space below which scratch is said to be small.
const leastScratch = 1 << 30

func (e *examination) scratch() {
	dir := cmp.Or(e.conf.Scratch, os.TempDir())
	f, err := os.CreateTemp(dir, "mraws-doctor-*")
	if err != nil {
		e.wrongly("scratch", &Error{Code: ExitUsage, What: "scratch cannot be written", Cause: err, Hint: "name a folder on a local disk with --scratch"})
		return
	}
	_ = errors.Join(f.Close(), os.Remove(f.Name())) // an empty file in a folder for such
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		e.wrong("scratch", err)
		return
	}
	free := int64(disk.Bavail) * disk.Bsize
	what := fmt.Sprintf("%s free in %s", bytesText(free), filepath.Clean(dir))
	if free < leastScratch {
		e.wrongly("scratch", usagef("free some, or name a folder on another disk with --scratch: attempts spill there what memory does not hold", "only %s", what))
		return
	}
	e.ok("scratch", what)
}

// closed tells why the bucket could not be opened.
func (e *examination) closed(ctx context.Context, err error) {
	told := explain(ctx, err)
	check := "bucket"
	switch {
	case errors.Is(err, s3fs.ErrClock):
		check = "clock"
	case errors.Is(err, object.ErrCredentials):
		check = "credentials"
	case errors.Is(err, s3fs.ErrRegion):
		check = "region"
	case told.Code == ExitDenied:
		check, e.unlisted = "s3:ListBucket", true
	}
	e.wrongly(check, told)
}

// opened tells of the bucket, the credentials and the clock, once it was listed.
func (e *examination) opened(st *store) {
	where := "s3://" + st.Bucket()
	switch {
	case st.Embedded:
		where += " of the embedded server in " + st.DataDir
	case e.conf.Endpoint != "":
		where += " at " + e.conf.Endpoint
	default:
		where += " in " + st.Region()
	}
	e.ok("bucket", where+" ("+st.Why+")")
	e.ok("credentials", "accepted")
	e.ok("s3:ListBucket", "allowed")
	skew := st.Skew()
	if skew.Abs() <= maxSkew {
		e.ok("clock", fmt.Sprintf("%v from that of the store", skew.Abs().Round(time.Millisecond)))
		return
	}
	side := "behind"
	if skew < 0 {
		side = "ahead of"
	}
	e.wrongly("clock", &Error{Code: ExitDenied, What: fmt.Sprintf("this machine's clock is %v %s that of the store", skew.Abs().Round(time.Second), side),
		Hint: "`timedatectl set-ntp true` lets the system set it; `chronyc makestep` sets it at once"})
}

// permissions tries each, and reports whether conditional writes can be tried.
func (e *examination) permissions(ctx context.Context, st *store) (writes bool) {
	writes = true
	for _, p := range doctor.Try(ctx, st, e.layout, e.commands...) {
		where := strings.TrimPrefix(p.Dir, e.layout.Root()) + "*"
		if p.Dir == "" {
			where = "the bucket"
		}
		check := p.Action + " " + where
		switch {
		case p.Err == nil:
			e.ok(check, "allowed")
			continue
		case p.Denied():
			e.denied = append(e.denied, p)
			e.wrongly(check, &Error{Code: ExitDenied, What: "denied, and needed by " + strings.Join(p.For, ", "),
				Hint: "`mraws doctor --fix-policy` prints the policy that is missing"})
		default:
			e.wrong(check, p.Err)
		}
		if slices.Contains(p.For, doctor.Coordinator) {
			writes = false
		}
	}
	return writes
}

// conditions tries that of several conditional writes one wins.
func (e *examination) conditions(ctx context.Context, st *store) {
	const check = "conditional writes"
	switch {
	case len(e.commands) > 0 && !slices.Contains(e.commands, doctor.Coordinator):
	case st.Served():
		e.ok(check, "those of the embedded server")
	default:
		if err := st.Preflight(ctx, e.layout.PreflightDir()); err != nil {
			e.wrong(check, err)
			return
		}
		e.ok(check, "of several at the same time one wins")
	}
}

// coordinator asks the announced coordinator from here.
func (e *examination) coordinator(ctx context.Context, st *store) {
	const check = "coordinator"
	token, err := e.token()
	if err != nil {
		e.wrong(check, err)
		return
	}
	r, err := status.Read(ctx, status.Options{Store: st, Layout: e.layout, Files: tlsFiles(e.conf), Token: token, Patience: askFor})
	switch {
	case errors.As(err, new(*status.NoJobError)), err == nil && r.Coordinator == nil:
		e.add(finding{Check: check, State: "unknown", What: "none is announced below " + e.where()})
		return
	case err != nil:
		e.wrong(check, err)
		return
	case r.Coordinator.State != status.Active:
		e.add(finding{Check: check, State: "unknown", What: fmt.Sprintf("the one that was announced has ended or is silent for %.0f s", r.Coordinator.AgeSeconds)})
		return
	}
	at := strings.Join(r.Coordinator.Addresses, ", ")
	if r.Live == nil {
		_, port, _ := net.SplitHostPort(r.Coordinator.Addresses[0])
		e.wrongly(check, &Error{Code: ExitUnreachable, What: fmt.Sprintf("it announced %s, and is not reached from here: %s", at, r.Coordinator.Error),
			Hint: fmt.Sprintf("let this machine reach TCP port %s of the coordinator (security group, firewall), or give the coordinator another --advertise", port)})
		return
	}
	e.ok(check, "reached at "+r.Live.Address)
	e.versions(readVersion().Version, r)
}

// versions compares the versions of coordinator and workers with that of this program.
func (e *examination) versions(own string, r *status.Report) {
	const check = "version"
	differs := func(who, version string) {
		e.wrongly(check, &Error{Code: ExitConflict, What: who + " has version " + version + ", this program " + own,
			Hint: "run the same version on all machines; `mraws status -o json` names the workers"})
	}
	if r.Coordinator.Version != own {
		differs("the coordinator", r.Coordinator.Version)
	}
	workers := map[string]string{} // an example of each version
	for _, m := range r.Live.Members {
		if m.Version != own {
			workers[m.Version] = m.Name
		}
	}
	for _, version := range slices.Sorted(maps.Keys(workers)) {
		differs("worker "+workers[version], cmp.Or(version, "(unknown)"))
	}
	if r.Coordinator.Version == own && len(workers) == 0 {
		e.ok(check, own+", as that of the coordinator and of "+countText(int64(len(r.Live.Members)), "worker"))
	}
}

// tell prints the findings. What is wrong decides the exit code.
func (e *examination) tell(fixPolicy bool) error {
	var worst *finding
	wrong := 0
	for i, f := range e.findings {
		if f.State == "wrong" {
			wrong++
			if worst == nil {
				worst = &e.findings[i]
			}
		}
	}
	var err error
	switch {
	case fixPolicy:
		err = e.printPolicy()
	case e.forMachines():
		err = printList(e.printer, struct {
			Schema   string    `json:"schema"`
			OK       bool      `json:"ok"`
			Findings []finding `json:"findings"`
		}{"mraws/doctor/v1", wrong == 0, e.findings}, e.findings)
	default:
		err = e.printFindings()
	}
	if err != nil || worst == nil {
		return err
	}
	return &Error{Code: worst.code, What: fmt.Sprintf("%d of %s failed, the first is %s", wrong, countText(int64(len(e.findings)), "check"), worst.Check)}
}

func (e *examination) printPolicy() error {
	p := doctor.Missing(e.conf.Bucket, e.denied)
	if e.unlisted {
		p = doctor.Listing(e.conf.Bucket)
	}
	b, err := json.MarshalIndent(p, "", "  ")
	if err != nil {
		return err
	}
	return e.say("%s", b)
}

func (e *examination) printFindings() error {
	marks := map[string]string{"ok": "✓ ok     ", "wrong": "✗ WRONG  ", "unknown": "- unknown"}
	widest := 0
	for _, f := range e.findings {
		widest = max(widest, len(f.Check))
	}
	for _, f := range e.findings {
		if err := e.say("%s  %-*s  %s", marks[f.State], widest, f.Check, f.What); err != nil {
			return err
		}
		for line := range strings.Lines(f.Fix) {
			if err := e.say("             %*s  fix: %s", widest-2, "", strings.TrimSuffix(line, "\n")); err != nil {
				return err
			}
		}
	}
	return nil
}

var _ doctor.Store = (*s3fs.Store)(nil)
