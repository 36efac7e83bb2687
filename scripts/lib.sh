# Sourced by the test-mr-*.sh scripts: builds the binary, provides a store
# and input, starts coordinator and workers as processes of their own, and
# cleans up. With MRAWS_BUCKET set the store is that bucket, reached with the
# caller's AWS credentials; else an embedded server with a data folder of its
# own. Needs Go and bash.
#
#   MRAWS_BUCKET      a real bucket; the test keeps below a prefix of its own
#   MRAWS_TEST_INPUT  a folder of text files to use instead of Go's own source
#   MRAWS_BIN         a binary to test instead of building one

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
work=$(mktemp -d)
logs=$work/logs
mkdir -p "$logs" "$work/input" "$work/scratch"
pids=()
name=$(basename "$0" .sh)
said= # set once the verdict has been printed

# Settings that the caller's shell may carry must not reach the test.
unset MRAWS_COORD MRAWS_PORT MRAWS_LISTEN MRAWS_NREDUCE MRAWS_SPLIT_SIZE MRAWS_PACK MRAWS_CONFIG
export MRAWS_SCRATCH=$work/scratch MRAWS_LEASE=${MRAWS_LEASE:-3s} MRAWS_LOG_LEVEL=${MRAWS_LOG_LEVEL:-debug}
export MRAWS_PREFIX=${MRAWS_PREFIX:-mraws-test-$$-$RANDOM}

cleanup() {
	local p
	[ -n "$said" ] || echo "--- $name test: FAIL"
	# disown: bash would report each kill
	for p in "${pids[@]}"; do disown "$p" 2>/dev/null; kill -9 "$p" 2>/dev/null; done
	rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# build sets $mraws.
build() {
	mraws=${MRAWS_BIN:-}
	if [ -z "$mraws" ]; then
		mraws=$work/mraws
		(cd "$root" && go build -o "$mraws" .)
	fi
}

# store makes the store ready: nothing to do for a bucket.
store() {
	[ -n "${MRAWS_BUCKET:-}" ] && return
	export MRAWS_DATA_DIR=$work/data MRAWS_LOCAL=true
	"$mraws" s3 >"$logs/s3" 2>&1 &
	pids+=($!)
	waiting 30 test -s "$work/data/endpoint.json"
}

# input uploads eight files pg-*.txt: of MRAWS_TEST_INPUT, or text that every
# machine with Go has.
input() {
	if [ -n "${MRAWS_TEST_INPUT:-}" ]; then
		cp "$MRAWS_TEST_INPUT"/* "$work/input/"
	else
		local src p
		src=$(cd "$root" && go env GOROOT)/src
		for p in bufio bytes compress crypto encoding fmt net strings; do
			find "$src/$p" -name '*.go' -type f | LC_ALL=C sort | sed -n 1,60p | xargs cat >"$work/input/pg-$p.txt"
		done
	fi
	"$mraws" upload-input "$work"/input/* >"$logs/upload" 2>&1
}

# waiting SECONDS COMMAND... repeats a command until it succeeds.
waiting() {
	local n=$(($1 * 20))
	shift
	until "$@" 2>/dev/null; do
		n=$((n - 1))
		[ "$n" -gt 0 ] || { echo "timeout: no success of $*" >&2; return 1; }
		sleep 0.05
	done
}

# coordinator ARGS... starts one on a free port and sets $coord and $coord_pid.
coordinator() {
	"$mraws" coordinator --port 0 --listen 127.0.0.1 "$@" >"$logs/coordinator.out" 2>"$logs/coordinator" &
	coord_pid=$!
	pids+=("$coord_pid")
	waiting 30 grep -q '"addr":"' "$logs/coordinator"
	coord=$(grep -o '"addr":"[^"]*"' "$logs/coordinator" | head -1 | cut -d'"' -f4)
}

# worker N APP ARGS... starts worker N and sets $worker_pid.
worker() {
	local n=$1 app=$2
	shift 2
	"$mraws" worker --coord "$coord" --app "$app" --slots 1 "$@" >"$logs/worker-$n" 2>&1 &
	worker_pid=$!
	pids+=("$worker_pid")
}

# run_job APP WORKERS COORDINATOR_ARGS... runs a job; every process must end
# well.
run_job() {
	local app=$1 workers=$2 i p started=()
	shift 2
	coordinator "$@"
	for ((i = 0; i < workers; i++)); do
		worker "$i" "$app"
		started+=("$worker_pid")
	done
	for p in "$coord_pid" "${started[@]}"; do
		wait "$p" || { echo "a process of the job ended with status $?" >&2; return 1; }
	done
}

# output prints all lines of the output.
output() { "$mraws" cat 2>>"$logs/cat"; }

# reset empties intermediate and output.
reset() { "$mraws" reset --yes "$@" >>"$logs/reset" 2>&1; }

# verdict NAME FUNCTION runs a test's body, resets after it, and says how it
# went: the last line of every script.
verdict() {
	name=$1
	local body=$2 ok=PASS
	build
	store
	input
	# A function called in a condition would lose set -e, so it gets a shell.
	(set -e; trap - EXIT; "$body"; trap - INT TERM) || ok=FAIL
	reset --input || { echo "reset failed" >&2; ok=FAIL; }
	if [ "$ok" = FAIL ]; then
		local f
		for f in "$logs"/*; do
			echo "--- $(basename "$f")" >&2
			tail -n 25 "$f" >&2
		done
	fi
	said=$ok
	echo "--- $name test: $ok"
	[ "$ok" = PASS ]
}
