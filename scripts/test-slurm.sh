#!/usr/bin/env bash
# deploy/slurm/mraws.sbatch on a real slurmctld and slurmd of Debian, on loopback, up to a job
# that ends. As root: munged wants a user of its own. Installs Slurm with apt. Exits with 75
# if it cannot be fetched.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" != inside ]; then
	if ! command -v slurmctld >/dev/null || ! command -v slurmd >/dev/null || ! command -v munged >/dev/null; then
		apt-get update -qq && apt-get install -y -qq slurmctld slurmd slurm-client munge >&2 || exit 75
	fi
	# A network, mounts and processes of its own: all of it ends with this script.
	exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" inside
fi
step() { echo "--- $*" >&2; }
die() { echo "test-slurm: $*" >&2; tail -n 30 "$work"/*.log "$work"/*.out >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ip link set lo up
ip address add 10.72.0.1/32 dev lo # getaddrinfo resolves nothing on loopback alone
mraws=${MRAWS_BIN:-$work/mraws}
[ -e "$mraws" ] || go build -o "$mraws" .

step munge, slurmctld, slurmd
mkdir -p "$work/munge" "$work/ctld" "$work/d"
chmod 755 "$work"
head -c 1024 /dev/urandom >"$work/munge/key"
chown -R munge: "$work/munge"
chmod 700 "$work/munge" && chmod 400 "$work/munge/key"
mkdir "$work/socket" && chown munge: "$work/socket" && chmod 755 "$work/socket"
setpriv --reuid=munge --regid=munge --clear-groups munged --key-file="$work/munge/key" --socket="$work/socket/munge" \
	--pid-file="$work/socket/pid" --seed-file="$work/socket/seed" --log-file="$work/socket/log"
host=$(hostname -s)
printf '127.0.0.1 localhost %s\n' "$host" >"$work/hosts"
mount --bind "$work/hosts" /etc/hosts
cat >"$work/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/socket/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$work/ctld
SlurmdSpoolDir=$work/d
SlurmctldPidFile=$work/ctld.pid
SlurmdPidFile=$work/d.pid
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MpiDefault=none
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=1,batch_sched_delay=0
MinJobAge=300
NodeName=$host NodeAddr=127.0.0.1 CPUs=8 RealMemory=1000
PartitionName=test Nodes=ALL Default=YES MaxTime=10 State=UP
END
export SLURM_CONF=$work/slurm.conf
slurmctld -f "$SLURM_CONF" -L "$work/slurmctld.log"
slurmd -f "$SLURM_CONF" -N "$host" -L "$work/slurmd.log"

step S3
exec {s3}< <(exec "$mraws" s3 --data-dir "$work/data" 2>"$work/s3.log")
read -r -t 120 -u "$s3" _ || die "mraws s3 does not start"
export MRAWS_LOCAL=true MRAWS_DATA_DIR=$work/data MRAWS_PREFIX=slurm MRAWS_PORT=0 MRAWS=$mraws
"$mraws" upload-input docs/*.md

step the array
# --wait: sbatch ends with the array, and with the highest exit code of its tasks.
timeout 300 sbatch --wait --array=0-3 --output="$work/task-%a.out" deploy/slurm/mraws.sbatch --app wc --nreduce 3 || die "the array: $?"
"$mraws" verify --app wc || die "verify"
grep -q '"message":"joined"' "$work"/task-[123].out || die "no worker joined"
echo "--- test-slurm: PASS"
