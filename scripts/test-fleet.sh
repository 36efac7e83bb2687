#!/usr/bin/env bash
# deploy/aws: cfn-lint over the stack; `fleet` against moto; and the user data of its launch
# templates run by a real systemd in a fresh root directory, a coordinator, a standby and a
# worker, up to a job that ends and machines that leave their groups. As root. Installs
# with apt mmdebstrap, systemd-container and shellcheck, and from PyPI moto, cfn-lint and the
# AWS CLI. Exits with 75 if these cannot be fetched.
# shellcheck disable=SC2016 # of sed, sh and JMESPath
set -euo pipefail
cd "$(dirname "$0")/.."
if [ "${1:-}" != inside ]; then
	missing=()
	command -v shellcheck >/dev/null || missing+=(shellcheck)
	command -v mmdebstrap >/dev/null || missing+=(mmdebstrap)
	command -v systemd-nspawn >/dev/null || missing+=(systemd-container)
	if [ "${#missing[@]}" -gt 0 ]; then
		apt-get update -qq && apt-get install -y -qq "${missing[@]}" >&2 || exit 75
	fi
	tools=${XDG_CACHE_HOME:-$HOME/.cache}/mraws-tools
	venv=$tools/fleet-1 root=$tools/fleet-root-1.tar
	if [ ! -e "$venv/done" ]; then
		rm -rf "$venv"
		python3 -m venv "$venv"
		"$venv/bin/pip" install -q --disable-pip-version-check 'moto[server]==5.2.5' cfn-lint==1.58.0 awscli==1.46.2 >&2 || exit 75
		touch "$venv/done"
	fi
	if [ ! -e "$root" ]; then
		mmdebstrap --quiet --variant=minbase --include=systemd,dbus,python3,ca-certificates,curl,iproute2 bookworm "$root.new" >&2 || exit 75
		mv "$root.new" "$root"
	fi
	# A network and mounts of its own, so that no address here is one of the machine.
	exec unshare --net --mount --pid --fork --kill-child --mount-proc "$0" inside "$venv" "$root"
fi

venv=$2 root=$3
export PATH=$venv/bin:$PATH AWS_DEFAULT_REGION=us-east-1 AWS_ENDPOINT_URL=http://10.71.0.1:5000 AWS_PAGER=
fleet=$PWD/deploy/aws/fleet
step() { echo "--- $*" >&2; }
die() { echo "test-fleet: $*" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

step shellcheck and cfn-lint
shellcheck deploy/aws/fleet deploy/aws/machine scripts/test-fleet.sh
cfn-lint deploy/aws/mraws.yaml

step build
mraws=${MRAWS_BIN:-$work/mraws}
[ -e "$mraws" ] || CGO_ENABLED=0 go build -o "$mraws" .

step network, AWS and S3
ip link set lo up
ip link add br0 type bridge
ip address add 10.71.0.1/24 dev br0
ip address add 169.254.169.254/32 dev br0
ip link set br0 up
touch "$work/machines"
exec {aws}< <(exec python scripts/fleet.py 10.71.0.1 5000 "$work/machines" 2>"$work/aws.log")
read -r -t 120 -u "$aws" ready || die "moto does not start: $(tail "$work/aws.log")"
[ "$ready" = ready ]

step a stack with a bucket of its own, all on moto
export AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test
printf '#!/bin/sh\necho "$@"\n' >"$work/stub"
chmod +x "$work/stub"
"$fleet" up --workers 20 --spot --dry-run --bucket own-bucket --mraws "$work/stub" | tee "$work/price"
grep -q 'at most \$4.50 an hour' "$work/price"
"$fleet" up --name own --workers 2 --bucket own-bucket --make-bucket --mraws "$work/stub" --ttl 90m --log-days 3 --yes -- --app wc
aws logs describe-log-groups --log-group-name-prefix /mraws/own --output text | grep /mraws/own
"$fleet" status --name own | grep '^own-workers: size 8,'
"$fleet" scale --name own --workers 1 | grep '^own-workers: size 4,'
# What the schedule of --ttl asks for, and `down` after that.
input=$(sed -n "s/^ *Input: !Sub '\(.*\)'$/\1/p" deploy/aws/mraws.yaml | sed 's/${AWS::StackName}/own/; s/${EndRole.Arn}/arn:aws:iam::123456789012:role\/own-end/')
aws cloudformation delete-stack --cli-input-json "$input"
aws iam get-role --role-name own-end --query Role.RoleName
"$fleet" down --name own --bucket own-bucket | grep -x 'nothing is left'
# One thing that is left makes `down` fail.
aws ec2 create-security-group --group-name own --description own --tag-specifications 'ResourceType=security-group,Tags=[{Key=mraws:stack,Value=own}]' >/dev/null
if "$fleet" down --name own >"$work/down"; then die "a security group is left, and down says: $(cat "$work/down")"; fi
grep -q '^security-group' "$work/down"

step S3 is the embedded server from here on
exec {s3}< <(exec "$mraws" s3 --address 10.71.0.1:0 --data-dir "$work/data" 2>"$work/s3.log")
read -r -t 120 -u "$s3" _ || die "mraws s3 does not start: $(tail "$work/s3.log")"
eval "$("$mraws" s3 --show-credentials --data-dir "$work/data" | grep AWS)"
export AWS_ENDPOINT_URL_S3=$AWS_ENDPOINT_URL AWS_ENDPOINT_URL=http://10.71.0.1:5000
echo "$AWS_ENDPOINT_URL_S3"
aws s3 mb s3://job-bucket
mkdir "$work/input"
cp docs/*.md "$work/input"
export MRAWS_ENDPOINT=$AWS_ENDPOINT_URL_S3 MRAWS_REGION=$AWS_DEFAULT_REGION

step the command of the job definition of Batch, as an array of three
aws batch register-job-definition --cli-input-json file://deploy/batch/job-definition.json --query revision
mapfile -d '' -t command < <(python -c 'import json, sys; print(*json.load(sys.stdin)["containerProperties"]["command"], sep="\0", end="\0")' <deploy/batch/job-definition.json)
mkdir "$work/bin"
ln -s "$(realpath "$mraws")" "$work/bin/mraws"
"$mraws" upload-input --bucket job-bucket --prefix batch "$work/input"
tasks=()
for index in 0 1 2; do
	env PATH="$work/bin:$PATH" AWS_BATCH_JOB_ARRAY_INDEX=$index ARGUMENTS='--app wc --nreduce 2' MRAWS_BUCKET=job-bucket MRAWS_PREFIX=batch \
		MRAWS_SCRATCH="$work" timeout 300 "${command[@]}" >"$work/batch-$index.log" 2>&1 &
	tasks+=("$!")
done
for task in "${tasks[@]}"; do wait "$task" || { tail "$work"/batch-*.log && die "a task of the array: $?"; }; done
"$mraws" verify --app wc --bucket job-bucket --prefix batch

step the stack of a job
"$fleet" up --name job --workers 1 --bucket job-bucket --mraws "$mraws" --input "$work/input" --yes -- --app wc --nreduce 3 --lease 2s

# machine NAME ADDRESS GROUP TEMPLATE N boots a root directory as instance N of a group, with
# the user data of the launch template.
machine() {
	local id dir=$work/$1
	id=$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names "$3" --query "AutoScalingGroups[0].Instances[$5].InstanceId" --output text)
	echo "$2 $id" >>"$work/machines"
	mkdir "$dir"
	tar -C "$dir" -xf "$root"
	aws ec2 describe-launch-template-versions --launch-template-name "$4" --versions '$Latest' \
		--query 'LaunchTemplateVersions[0].LaunchTemplateData.UserData' --output text | base64 -d >"$dir/user-data"
	chmod +x "$dir/user-data"
	# The AWS CLI that the image of Amazon Linux has.
	printf '#!/bin/sh\nPYTHONPATH=$(echo /venv/lib/python3*/site-packages) exec python3 -m awscli "$@"\n' >"$dir/usr/local/bin/aws"
	chmod +x "$dir/usr/local/bin/aws"
	mkdir -p "$dir"/etc/systemd/system.conf.d "$dir/etc/systemd/system/multi-user.target.wants" \
		"$dir"/etc/systemd/system/mraws-{coordinator,worker@1}.service.d
	{
		echo '[Manager]'
		echo "DefaultEnvironment=AWS_ENDPOINT_URL=$AWS_ENDPOINT_URL AWS_ENDPOINT_URL_S3=$AWS_ENDPOINT_URL_S3 AWS_ACCESS_KEY_ID=$AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY=$AWS_SECRET_ACCESS_KEY MRAWS_ENDPOINT=$MRAWS_ENDPOINT MRAWS_REGION=$MRAWS_REGION"
	} >"$dir/etc/systemd/system.conf.d/test.conf"
	# As cloud-init runs user data, and as EC2 switches a machine off that was terminated.
	printf '[Unit]\nAfter=dbus.service\nFailureAction=poweroff\n[Service]\nType=oneshot\nExecStart=/user-data\n' >"$dir/etc/systemd/system/user-data.service"
	ln -s ../user-data.service "$dir/etc/systemd/system/multi-user.target.wants/"
	for unit in coordinator worker@1; do
		printf '[Unit]\nSuccessAction=poweroff\nFailureAction=poweroff\n' >"$dir/etc/systemd/system/mraws-$unit.service.d/test.conf"
	done
	ip netns add "$1"
	ip link add "to-$1" type veth peer name eth0 netns "$1"
	ip link set "to-$1" up master br0
	ip -n "$1" address add "$2/24" dev eth0
	ip -n "$1" link set lo up
	ip -n "$1" link set eth0 up
	ip -n "$1" route add default via 10.71.0.1
	# The watchdog ends a machine that hangs.
	timeout --kill-after=10 300 systemd-nspawn --quiet --directory="$dir" --machine="$1" --register=no --keep-unit --boot \
		--network-namespace-path="/run/netns/$1" --bind-ro="$venv:/venv" </dev/null >"$work/$1.log" 2>&1 &
	pids+=("$!")
}

step three machines with the user data of the launch templates
mkdir -p /run/netns
mount -t tmpfs netns /run/netns
pids=()
machine first 10.71.0.11 job-coordinators job-coordinator 0
machine second 10.71.0.12 job-coordinators job-coordinator 1
machine worker 10.71.0.21 job-workers job-worker 0
workers=$(aws autoscaling describe-auto-scaling-groups --auto-scaling-group-names job-workers --query 'AutoScalingGroups[0].DesiredCapacity' --output text)
bad=
for pid in "${pids[@]}"; do wait "$pid" || bad="$bad $pid:$?"; done
for name in first second worker; do
	journalctl --quiet --no-pager --directory="$work/$name/var/log/journal" 2>/dev/null | tail -40 >"$work/$name.journal" || true
done
if [ -n "$bad" ] || ! "$mraws" verify --app wc --bucket job-bucket --prefix job; then
	tail -n 40 "$work"/*.log "$work"/*.journal
	die "the job has not ended well:$bad"
fi

step what is left of the groups
"$fleet" status --name job >"$work/status"
cat "$work/status"
grep -q '^job-coordinators: size 0, 0 machines' "$work/status"
grep -q "^job-workers: size $((workers - 1))," "$work/status" # moto knows no weights
"$fleet" down --name job --bucket job-bucket | grep -x 'nothing is left'
echo "--- test-fleet: PASS"
