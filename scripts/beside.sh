# Sourced by the test scripts: steps, one after the other or side by side, and
# whether there is a race detector.

# race is the flag for the race detector, which needs a C compiler.
race=-race
if [ "$(go env CGO_ENABLED)" != 1 ] || ! command -v "$(go env CC)" >/dev/null; then
	echo "no C compiler: the race detector is off" >&2
	race=
fi

# step COMMAND... says what it runs.
step() { echo "=== $*" >&2; "$@"; }

# optional WHAT COMMAND... is a step that ends with 75 where what it needs cannot be
# fetched: then it says that WHAT is skipped, and the script goes on.
optional() {
	local what=$1 code=0
	shift
	step "$@" || code=$?
	[ "$code" != 75 ] || { echo "SKIPPED: $what"; code=0; }
	return "$code"
}

# have NAME WHAT COMMAND... exports NAME as what the command prints. It is false, and
# says that WHAT is skipped, if the command ends with 75.
have() {
	local name=$1 what=$2 code=0 out
	shift 2
	out=$("$@") || code=$?
	case $code in
	0) export "$name=$out" ;;
	75) echo "SKIPPED: $what" && return 1 ;;
	*) exit "$code" ;;
	esac
}

besides=() # name and process of each that runs beside
besideLogs=$(mktemp -d)
trap together EXIT

# beside NAME COMMAND... runs a command while the script goes on. The script
# ends when it has, and fails if it did.
beside() {
	local name=$1
	shift
	echo "=== beside what follows: $*" >&2
	"$@" >"$besideLogs/$name" 2>&1 &
	besides+=("$name" $!)
}

# together shows what each has printed, as a whole and after all others.
together() {
	local status=$? failed=
	set -- "${besides[@]}"
	while [ $# -gt 0 ]; do
		echo "=== $1" >&2
		wait "$2" || { status=1; failed="$failed $1"; }
		cat "$besideLogs/$1"
		shift 2
	done
	rm -rf "$besideLogs"
	[ -z "$failed" ] || echo "failed:$failed" >&2
	exit "$status"
}
